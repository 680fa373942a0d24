/* A container that another OCI runtime (runc, crun) makes: this process runs the runtime's commands, takes over the process
 * that the runtime leaves behind, and is its parent from then on. */
#include "monitor.h"
#include "steps.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONSOLE_MS = 10000, TAIL = 480 };

static int console_listener = -1;

/* What the runtime leaves behind becomes a child of this process instead of init's: only so is its end seen. */
int step_become_parent(struct run *run, const struct arg *a) {
  (void)run, (void)a;
  return prctl(PR_SET_CHILD_SUBREAPER, 1) ? fail(errno, "become a subreaper", NULL) : 0;
}

int step_private_mounts(struct run *run, const struct arg *a) {
  (void)run;
  if (unshare(CLONE_NEWNS)) return fail(errno, "unshare mounts", NULL);
  if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL)) return fail(errno, "propagation of /", NULL);
  const u8 *cursor = a[0].bytes;
  for (u32 i = 0; i < a[0].count; i++) {
    const char *path = next_string(&cursor);
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW)) return fail(errno, "hide", path);
  }
  return 0;
}

int step_console_listen(struct run *run, const struct arg *a) {
  (void)run;
  console_listener = listen_at(a[0].text);
  return console_listener < 0 ? console_listener : 0;
}

/* ---- running a command ---- */

static const char **list_of(const struct arg *list, u8 **room) {
  const char **items = (const char **)(void *)*room;
  const u8 *cursor = list->bytes;
  for (u32 i = 0; i < list->count; i++) items[i] = next_string(&cursor);
  items[list->count] = NULL;
  *room += ((size_t)list->count + 1) * sizeof *items;
  return items;
}

/* In the forked child. The plan's memory is a copy of the parent's. */
_Noreturn static void become_command(struct run *run, const struct arg *a) {
  u8 *room = run->plan.scratch;
  const char **argv = list_of(&a[0], &room), **env = list_of(&a[1], &room);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 0; a[3].number && i < 3; i++)
    if (run->stdio[i] >= 0 && dup2(run->stdio[i], i) < 0) _exit(127);
  reset_signals();
  syscall(SYS_close_range, 3u, ~0u, 0u);
  execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
  _exit(errno == ENOENT ? 127 : 126);
}

/* The command's last words, from the log file it was told to write. */
static void read_tail(const char *path, char words[TAIL + 1]) {
  words[0] = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return;
  off_t size = lseek(fd, 0, SEEK_END);
  ssize_t n = pread(fd, words, TAIL, size > TAIL ? size - TAIL : 0);
  close(fd);
  words[n > 0 ? n : 0] = 0;
}

static int await_command(pid_t pid, u32 seconds, int *status) {
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) return -errno;
  struct pollfd wait = {.fd = pidfd, .events = POLLIN};
  i64 deadline = now_ms() + (i64)seconds * 1000, left = seconds * 1000ll;
  int ready = 0;
  while (left > 0 && (ready = poll(&wait, 1, (int)left)) < 0 && errno == EINTR) left = deadline - now_ms();
  if (ready <= 0) kill(pid, SIGKILL);
  while (waitpid(pid, status, 0) < 0 && errno == EINTR) {}
  close(pidfd);
  return ready > 0 ? 0 : -ETIMEDOUT;
}

int step_run_program(struct run *run, const struct arg *a) {
  static char words[TAIL + 1];
  int status = 0;
  if (!a[0].count) return fail(EINVAL, "a command without words", NULL);
  if (((size_t)a[0].count + a[1].count + 2) * sizeof(char *) > run->plan.scratch_size) return fail(E2BIG, "arguments", NULL);
  pid_t pid = fork();
  if (pid < 0) return fail(errno, "fork", NULL);
  if (!pid) become_command(run, a);
  int result = await_command(pid, (u32)a[2].number, &status);
  if (result) return fail(-result, "the command was killed", NULL);
  if (WIFEXITED(status) && !WEXITSTATUS(status)) return 0;
  read_tail(a[4].text, words);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && !words[0]) return fail(ENOENT, "run", (const char *)a[0].bytes + 4);
  return fail(ECANCELED, NULL, words);
}

/* ---- taking over ---- */

static int take_console_from(struct run *run) {
  struct pollfd wait = {.fd = console_listener, .events = POLLIN};
  if (poll(&wait, 1, CONSOLE_MS) <= 0) return fail(ETIMEDOUT, "wait for the console", NULL);
  int peer = accept4(console_listener, NULL, NULL, SOCK_CLOEXEC);
  if (peer < 0) return fail(errno, "accept the console", NULL);
  char name[256];
  struct iovec part = {name, sizeof name};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  wait.fd = peer;
  ssize_t n = poll(&wait, 1, CONSOLE_MS) > 0 ? recvmsg(peer, &message, MSG_CMSG_CLOEXEC) : -1;
  close(peer);
  close_fd(&console_listener);
  struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!header || header->cmsg_type != SCM_RIGHTS) return fail(EPROTO, "receive the console", NULL);
  memcpy(&run->ends[1], CMSG_DATA(header), sizeof(int));
  return 0;
}

int step_adopt(struct run *run, const struct arg *a) {
  char number[32];
  siginfo_t info = {0};
  int result = read_small(AT_FDCWD, a[0].text, number, sizeof number);
  long pid = result < 0 ? 0 : strtol(number, NULL, 10);
  if (pid <= 0) return fail(result < 0 ? -result : EINVAL, "read the pid file", a[0].text);
  run->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
  if (run->pidfd < 0) return fail(errno, "open the process", NULL);
  /* ECHILD: the file names a process that is none of this one's. It must not be signalled or waited for. */
  if (waitid(P_PIDFD, (id_t)run->pidfd, &info, WEXITED | WNOHANG | WNOWAIT)) {
    result = fail(errno, "the runtime's process is no child", a[0].text);
    close_fd(&run->pidfd);
    return result;
  }
  run->child = (pid_t)pid;
  /* Later orphans of a container that shares the host's pid namespace are init's to reap, as always. */
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  return console_listener >= 0 ? take_console_from(run) : 0;
}

int step_child_netlink(struct run *run, const struct arg *a) {
  char path[48];
  int status = 0;
  snprintf(path, sizeof path, "/proc/%d/ns/net", (int)run->child);
  int fd = run->child > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return fail(run->child > 0 ? errno : ESRCH, "open the network namespace", NULL);
  pid_t pid = fork();
  if (!pid) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    netlink_forget();
    int result = setns(fd, CLONE_NEWNET) ? -errno : step_netlink(run, a);
    _exit(result ? -result & 0xff : 0);
  }
  close(fd);
  if (pid < 0) return fail(errno, "fork", NULL);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  if (!WIFEXITED(status)) return fail(ECANCELED, "the process in the network namespace was killed", NULL);
  return WEXITSTATUS(status) ? fail(WEXITSTATUS(status), "in the container's network namespace", NULL) : 0;
}
