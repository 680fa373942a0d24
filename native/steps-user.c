/* User and time namespaces: id maps written by the monitor, the child that becomes root of its own. */
#include "namespaces.h"
#include "steps.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ANSWER_MS = 60000, SELF_UNSHARED = 1 };

/* ---- in the monitor ---- */

/* What the child has to say until it is in its namespaces. Where it forks into a pid namespace there are two of it for a
 * moment: either may be heard first. */
static int settle(struct run *run, const struct arg *a) {
  bool moves = run->plan.moves, ready = false;
  while (moves || !ready) {
    i32 value = 0;
    int passed = -1, result = 0;
    int kind = channel_receive(run->channel[0], &value, &passed, ANSWER_MS);
    close_fd(&passed);
    if (kind < 0) return fail(-kind, "wait for the namespaces", NULL);
    if (!kind) return -ECHILD; /* the child says why */
    if (kind == MESSAGE_SETTLED) ready = true;
    if (kind == MESSAGE_MOVED) {
      moves = false;
      result = follow_child(run, (pid_t)value);
    }
    if (kind == MESSAGE_UNSHARED) {
      result = write_id_maps(run->child, a);
      if (!result) result = channel_send(run->channel[0], MESSAGE_MAPPED, 0, -1);
    }
    if (result) return result;
  }
  return 0;
}

/* The pipes made for the container, and the fifo of wait-start, belong to who it runs as: inside, the host's root is nobody.
 * Where the maps are not known anybody may write to the fifo, as with runc. */
static void give_pipes(const struct run *run, uid_t uid, gid_t gid) {
  struct stat status;
  const char *fifo = run->plan.fifo;
  if (fifo && !lstat(fifo, &status) && S_ISFIFO(status.st_mode)) {
    if (uid == (uid_t)-1) (void)!chmod(fifo, 0622);
    else (void)!lchown(fifo, uid, gid);
  }
  if (uid == (uid_t)-1) return;
  for (int i = 0; i < 3; i++)
    if (run->stdio[i] >= 0 && !fstat(run->stdio[i], &status) && S_ISFIFO(status.st_mode)) (void)!fchown(run->stdio[i], uid, gid);
}

int step_id_maps(struct run *run, const struct arg *a) {
  int result = 0;
  if (a[0].length && !(a[2].number & SELF_UNSHARED)) {
    result = write_id_maps(run->child, a);
    if (!result && (result = channel_send(run->channel[0], MESSAGE_MAPPED, 0, -1))) result = -ECHILD;
  }
  if (!result) result = settle(run, a);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  give_pipes(run, (uid_t)a[5].number, (gid_t)a[6].number);
  return result;
}

/* Raises the hard limit, which the child may not any more; it sets the exact values itself and says what is wrong. */
int step_child_rlimit(struct run *run, const struct arg *a) {
  struct rlimit limit;
  enum __rlimit_resource resource = (enum __rlimit_resource)a[0].number;
  if (prlimit(run->child, resource, NULL, &limit) || limit.rlim_max >= a[1].number) return 0;
  limit.rlim_max = a[1].number;
  (void)!prlimit(run->child, resource, &limit, NULL);
  return 0;
}

/* ---- in the child ---- */

/* Every change of ids or of the user namespace clears these two. */
static int guard(const struct run *run) {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return monitor_gone(run) ? fail(EPIPE, "the monitor is gone", NULL) : 0;
}

static int await_maps(const struct run *run) {
  i32 value;
  int passed = -1;
  int kind = channel_receive(run->channel[1], &value, &passed, -1);
  close_fd(&passed);
  return kind == MESSAGE_MAPPED ? 0 : fail(kind < 0 ? -kind : EPIPE, "wait for the id maps", NULL);
}

enum { WAIT_FOR_MAPS, UNSHARE_AND_WAIT, JOINED };

int step_user_namespace(struct run *run, const struct arg *a) {
  uid_t uid = (uid_t)a[0].number;
  gid_t gid = (gid_t)a[1].number;
  if (a[2].number == UNSHARE_AND_WAIT) {
    bool ordinary = geteuid() != 0;
    if (unshare(CLONE_NEWUSER)) return fail(errno, "unshare", "user namespace");
    /* Who is not root may write the maps of a dumpable process only. */
    prctl(PR_SET_DUMPABLE, ordinary, 0, 0, 0);
    int sent = channel_send(run->channel[1], MESSAGE_UNSHARED, 0, -1);
    if (sent) return fail(-sent, "tell the monitor", NULL);
  }
  int result = a[2].number == JOINED ? 0 : await_maps(run);
  if (result) return result;
  if (syscall(SYS_setresgid, gid, gid, gid)) return fail(errno, "become the group of", "the user namespace's root");
  if (syscall(SYS_setresuid, uid, uid, uid)) return fail(errno, "become the user of", "the user namespace's root");
  return guard(run);
}

int step_namespaces_ready(struct run *run, const struct arg *a) {
  (void)a;
  int result = channel_send(run->channel[1], MESSAGE_SETTLED, 0, -1);
  return result ? fail(-result, "tell the monitor", NULL) : 0;
}

/* unshare(CLONE_NEWTIME) is about children; offsets can be written until the first process is in. */
int step_time_namespace(struct run *run, const struct arg *a) {
  (void)run;
  if (unshare(CLONE_NEWTIME)) return fail(errno, "unshare", "time namespace");
  if (a[0].length) {
    int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES) {
      /* The files of a process that is not dumpable are those of the host's root, who the root of a user namespace is not. */
      prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
      fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
      int error = errno;
      prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
      errno = error;
    }
    if (fd < 0) return fail(errno, "open", "/proc/self/timens_offsets");
    int result = write_all(fd, a[0].text, a[0].length);
    close(fd);
    if (result) return fail(-result, "time offsets", NULL);
  }
  int fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(errno, "open", "/proc/self/ns/time_for_children");
  int result = setns(fd, CLONE_NEWTIME) ? fail(errno, "enter the time namespace", NULL) : 0;
  close(fd);
  return result;
}
