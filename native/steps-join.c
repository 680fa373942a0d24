/* Entering namespaces that exist: those at paths, for a container, and those of a process, for exec. */
#include "namespaces.h"
#include "steps.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_JOINED = 8 };

struct joined {
  const char *path;
  u32 type;
  int fd;
  bool done;
};

static const char *name_of_type(u32 type) {
  switch (type) {
    case CLONE_NEWNS: return "mount";
    case CLONE_NEWPID: return "pid";
    case CLONE_NEWNET: return "network";
    case CLONE_NEWIPC: return "ipc";
    case CLONE_NEWUTS: return "uts";
    case CLONE_NEWUSER: return "user";
    case CLONE_NEWCGROUP: return "cgroup";
    case CLONE_NEWTIME: return "time";
    default: return "known";
  }
}

static int wrong_type(const char *path, u32 wanted, int found) {
  static char words[4200];
  struct text text = {words, sizeof words, 0};
  text_add(&text, path);
  text_add(&text, found > 0 ? " is a namespace of type " : " is not a namespace");
  if (found > 0) text_add(&text, name_of_type((u32)found));
  if (found > 0) text_add(&text, " and not ");
  if (found > 0) text_add(&text, name_of_type(wanted));
  return fail(EINVAL, NULL, words);
}

static int open_all(const struct arg *a, struct joined *all) {
  const u8 *path = a[0].bytes;
  for (u32 i = 0; i < a[0].count; i++) {
    all[i] = (struct joined){next_string(&path), load32(a[1].bytes + (size_t)i * 4), -1, false};
    /* Not blocking: it may be a fifo. */
    if ((all[i].fd = open(all[i].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) < 0) return fail(errno, "open", all[i].path);
    int type = ioctl(all[i].fd, NS_GET_NSTYPE);
    if (type < 0 || (u32)type != all[i].type) return wrong_type(all[i].path, all[i].type, type);
  }
  return 0;
}

static bool is_own(int fd, const char *own) {
  struct stat there, here;
  return !fstat(fd, &there) && !stat(own, &here) && there.st_ino == here.st_ino && there.st_dev == here.st_dev;
}

/* The host's groups are left here: in a user namespace that denies setgroups they would stay for good, and count for the
 * host's files. Who may not leave them (an ordinary user) has no others' rights by them. */
static int enter_user(int fd) {
  (void)syscall(SYS_setgroups, 0, NULL);
  return setns(fd, CLONE_NEWUSER);
}

static int enter(struct joined *one) {
  /* One's own user namespace cannot be entered again, and need not be. */
  if (one->type != CLONE_NEWUSER || !is_own(one->fd, "/proc/self/ns/user")) {
    if (one->type == CLONE_NEWUSER ? enter_user(one->fd) : setns(one->fd, (int)one->type)) return -errno;
  }
  one->done = true;
  return 0;
}

static int enter_all(struct joined *all, u32 count) {
  bool has_user = false;
  for (u32 i = 0; i < count; i++) has_user |= all[i].type == CLONE_NEWUSER;
  /* With the rights that this process has: some namespaces may belong to its own user namespace, others to the one that
   * is entered. The mount namespace always last: /proc is looked at until then. */
  for (u32 i = 0; i < count; i++) {
    if (all[i].type == CLONE_NEWUSER || all[i].type == CLONE_NEWNS) continue;
    int result = enter(&all[i]);
    if (result && !(has_user && result == -EPERM)) return fail(-result, "setns", all[i].path);
  }
  for (int pass = 0; pass < 3; pass++) {
    for (u32 i = 0; i < count; i++) {
      u32 type = all[i].type;
      int turn = type == CLONE_NEWUSER ? 0 : type == CLONE_NEWNS ? 2 : 1;
      if (all[i].done || turn != pass) continue;
      int result = enter(&all[i]);
      if (result) return fail(-result, "setns", all[i].path);
    }
  }
  return 0;
}

int step_join_paths(struct run *run, const struct arg *a) {
  struct joined all[MAX_JOINED];
  u32 count = a[0].count;
  bool moves = false;
  if (count > MAX_JOINED || a[1].count != count) return fail(EINVAL, "paths and types of namespaces", NULL);
  for (u32 i = 0; i < count; i++) all[i].fd = -1;
  int result = open_all(a, all);
  if (!result) result = enter_all(all, count);
  for (u32 i = 0; i < count; i++) {
    moves |= all[i].type == CLONE_NEWPID;
    close_fd(&all[i].fd);
  }
  netlink_forget();
  return result || !moves ? result : move_into_pid_namespace(run);
}

/* ---- of a process ---- */

/* A container that shares the user namespace of who runs exec: entering it again would be refused. */
static u64 without_own_user(pid_t pid, u64 flags) {
  char path[48];
  struct stat there, here;
  struct text text = {path, sizeof path, 0};
  text_add(&text, "/proc/");
  text_add_number(&text, (u64)pid);
  text_add(&text, "/ns/user");
  if (stat(path, &there) || stat("/proc/self/ns/user", &here) || there.st_ino != here.st_ino) return flags;
  return flags & ~(u64)CLONE_NEWUSER;
}

/* With the caller's own rights where those are enough, as for who is root on the host: the namespaces may belong to another
 * user namespace than the one that is joined. Else the user namespace comes first, for the right to the others. */
static int enter_of(int pidfd, u64 flags) {
  u64 others = flags & ~(u64)CLONE_NEWUSER;
  bool user = flags & CLONE_NEWUSER, done = !others || !setns(pidfd, (int)others);
  if (!done && (!user || errno != EPERM)) return fail(errno, "setns", NULL);
  if (user && enter_user(pidfd)) return fail(errno, "setns", "user namespace");
  return done || !setns(pidfd, (int)others) ? 0 : fail(errno, "setns", NULL);
}

static int enter_root_of(pid_t pid) {
  char path[48];
  struct text text = {path, sizeof path, 0};
  text_add(&text, "/proc/");
  text_add_number(&text, (u64)pid);
  text_add(&text, "/root");
  int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return fail(errno, "open the container's root", NULL);
  int result = fchdir(root) || chroot(".") ? fail(errno, "enter the container's root", NULL) : 0;
  close(root);
  return result;
}

/* A pid found under /proc while its pidfd has not ended was that process's. */
static bool has_ended(int pidfd) {
  struct pollfd ended = {.fd = pidfd, .events = POLLIN};
  return poll(&ended, 1, 0) > 0;
}

int step_join_namespaces(struct run *run, const struct arg *a) {
  pid_t pid = (pid_t)(i64)a[0].number;
  if (!pid) return 0;
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) return fail(errno, "container's process", NULL);
  u64 flags = a[2].number & CLONE_NEWUSER ? without_own_user(pid, a[2].number) : a[2].number;
  /* The pidfd is open: if the start time is still the expected one now, the pidfd names that very process. */
  int result = start_time_of(pid) == a[1].number ? 0 : fail(ESRCH, "container's process has ended", NULL);
  if (!result) result = enter_of(pidfd, flags);
  /* With a mount namespace comes its root; else the container has one by chroot. */
  if (!result && !(a[2].number & CLONE_NEWNS)) result = enter_root_of(pid);
  if (!result && has_ended(pidfd)) result = fail(ESRCH, "container's process has ended", NULL);
  close(pidfd);
  netlink_forget();
  /* The container's root is ours: inside paths are absolute ones from here on. */
  if (!result) run->pivoted = true;
  if (result || !(a[2].number & CLONE_NEWPID)) return result;
  return move_into_pid_namespace(run);
}
