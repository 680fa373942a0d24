/* The second process: clone, the channel between the two, leaving namespaces, and the child's life. */
#include "namespaces.h"
#include "operations.h"
#include "steps.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOVE_MS = 30000 };

/* ---- the channel ---- */

struct packet {
  u8 kind;
  u8 value[4];
};

int channel_send(int fd, enum message kind, i32 value, int passed_fd) {
  struct packet packet = {.kind = (u8)kind};
  store32(packet.value, (u32)value);
  struct iovec part = {&packet, sizeof packet};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (passed_fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed_fd, sizeof(int));
  }
  /* Behind a seccomp filter a program may write, if anything. */
  if (passed_fd < 0) return write(fd, &packet, sizeof packet) < 0 ? -errno : 0;
  return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int channel_receive(int fd, i32 *value, int *passed_fd, int timeout_ms) {
  struct packet packet = {0};
  struct iovec part = {&packet, sizeof packet};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  int ready;
  do ready = poll(&wait, 1, timeout_ms);
  while (ready < 0 && errno == EINTR);
  if (ready <= 0) return ready ? -errno : -ETIMEDOUT;
  ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  *passed_fd = -1;
  if (n < 0) return errno == ECONNRESET ? 0 : -errno;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header && header->cmsg_type == SCM_RIGHTS) memcpy(passed_fd, CMSG_DATA(header), sizeof(int));
  *value = (i32)load32(packet.value);
  return n == sizeof packet ? packet.kind : 0;
}

/* ---- clone ---- */

long clone_child(u64 flags, int *pidfd, int cgroup) {
  struct clone_args args = {.flags = flags, .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD};
  if (pidfd) {
    args.flags |= CLONE_PIDFD;
    args.pidfd = (u64)(uintptr_t)pidfd;
  }
  if (cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = (u64)cgroup;
  }
  /* As fork: the child gets copies of all memory; no thread exists that could hold a lock. */
  long pid = syscall(SYS_clone3, &args, sizeof args);
  return pid < 0 ? -errno : pid;
}

int follow_child(struct run *run, pid_t pid) {
  siginfo_t info;
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) return fail(errno, "open pid", NULL);
  /* The first child ends right after it has sent the message. Both are this process's children: no pid is reused. */
  while (waitid(P_PIDFD, (id_t)run->pidfd, &info, WEXITED) && errno == EINTR) {}
  close(run->pidfd);
  run->pidfd = pidfd;
  run->child = pid;
  return 0;
}

/* The child's forked successor (see move_into_pid_namespace) takes its place: what follows is about that process. */
static int follow_move(struct run *run) {
  i32 pid = 0;
  int passed;
  int kind = channel_receive(run->channel[0], &pid, &passed, MOVE_MS);
  if (kind < 0) return fail(-kind, "wait for the namespace to be joined", NULL);
  return kind == MESSAGE_MOVED ? follow_child(run, (pid_t)pid) : -ECHILD; /* it has failed, and says why */
}

int step_clone(struct run *run, const struct arg *a) {
  int cgroup = -1;
  if (a[1].length && (cgroup = open(a[1].text, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) return fail(errno, "open", a[1].text);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, run->channel)) {
    close_fd(&cgroup);
    return fail(errno, "socketpair", NULL);
  }
  /* Who is not root may write the id maps of a dumpable process only; `id-maps` ends that. */
  if (run->plan.maps && geteuid()) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  long pid = clone_child(a[0].number, &run->pidfd, cgroup);
  if (!pid) child_main(run);
  close_fd(&cgroup);
  close_fd(&run->channel[1]);
  if (pid < 0) {
    run->pidfd = -1;
    return fail((int)-pid, "clone", a[1].length ? a[1].text : NULL);
  }
  run->child = (pid_t)pid;
  /* With id maps the two have more to say to each other before: `id-maps` follows. */
  return run->plan.moves && !run->plan.maps ? follow_move(run) : 0;
}

/* ---- leaving namespaces ---- */

bool monitor_gone(const struct run *run) {
  char byte;
  return recv(run->channel[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* A pid namespace holds only for children made later: fork once more, with CLONE_PARENT, so that the successor is the
 * monitor's child and the monitor sees its end. Returns in the successor; this process tells the pid (as seen in its
 * own, the host's, pid namespace) and ends. */
int move_into_pid_namespace(struct run *run) {
  long pid = clone_child(CLONE_PARENT, NULL, -1);
  if (pid < 0) return fail((int)-pid, "fork into the pid namespace", NULL);
  if (pid > 0) _exit(channel_send(run->channel[1], MESSAGE_MOVED, (i32)pid, -1) ? 1 : 0);
  /* The setting does not survive a fork. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return monitor_gone(run) ? fail(EPIPE, "the monitor is gone", NULL) : 0;
}

int step_unshare(struct run *run, const struct arg *a) {
  if (unshare((int)a[0].number)) return fail(errno, "unshare", NULL);
  netlink_forget();
  return a[0].number & CLONE_NEWPID ? move_into_pid_namespace(run) : 0;
}

int step_wait_parent(struct run *run, const struct arg *a) {
  (void)a;
  i32 value;
  int passed;
  int kind = channel_receive(run->channel[1], &value, &passed, -1);
  /* The end of the channel is the monitor's death: nobody is left to report to. */
  return kind == MESSAGE_GO ? 0 : fail(kind < 0 ? -kind : EPIPE, "wait for the monitor", NULL);
}

/* ---- the child ---- */

/* Raw, because glibc refuses the two signals it keeps for threads; they may have been inherited ignored all the same. */
void reset_signals(void) {
  struct {
    void *handler;
    unsigned long flags;
    void *restorer;
    u64 mask;
  } standard = {0};
  for (int number = 1; number <= 64; number++) syscall(SYS_rt_sigaction, number, &standard, NULL, sizeof(u64));
  u64 none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

/* With relay: 0..2 become the pipes' ends, /dev/null where there is none. */
static int take_stdio(struct run *run) {
  if (!run->relay) return 0;
  for (int i = 0; i < 3; i++) {
    int fd = run->stdio[i];
    if (fd < 0) continue; /* the monitor's own 0..2 are /dev/null already */
    if (dup2(fd, i) < 0) return fail(errno, "dup2", NULL);
  }
  return 0;
}

/* What must be opened on the host's side of the root change. */
static int open_early(struct run *run) {
  if (run->plan.uses_init && (run->self_exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)) < 0) return fail(errno, "open", "/proc/self/exe");
  if (!run->plan.fifo) return 0;
  if ((run->fifo = open(run->plan.fifo, O_PATH | O_CLOEXEC | O_NOFOLLOW)) < 0) return fail(errno, "open", run->plan.fifo);
  struct stat status;
  if (fstat(run->fifo, &status)) return fail(errno, "stat", run->plan.fifo);
  return S_ISFIFO(status.st_mode) ? 0 : fail(EINVAL, "not a fifo", run->plan.fifo);
}

/* What fails once `start` was let go is told to it: "0OP ERRNO WORDS", where the 0 was written by wait-start. */
static void tell_starter(const struct run *run, u32 index, int error, const char *words) {
  struct cursor cursor = {0};
  struct step step = {0};
  char line[sizeof run->shared->context + 32];
  struct text text = {line, sizeof line, 0};
  if (run->starter < 0) return;
  while (plan_next(&run->plan, &cursor, -1, &step) && (step.section == SECTION_OPTIONS || step.index != index)) {}
  text_add_number(&text, step.op);
  text_add(&text, " ");
  text_add_number(&text, (u64)error);
  text_add(&text, " ");
  text_add(&text, words);
  signal(SIGPIPE, SIG_IGN); /* it may be gone */
  (void)write_all(run->starter, line, text.length);
}

_Noreturn void child_main(struct run *run) {
  /* The look at the channel comes after: a monitor that died before the setting is seen there. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close_fd(&run->channel[0]);
  if (monitor_gone(run)) _exit(127);
  /* The control connection must end with the monitor, also while this process waits to be started. Its number stays
   * taken, by a harmless copy, so that nothing of ours comes to lie where preserved fds go. */
  dup2(run->channel[1], 3);
  netlink_forget();
  reset_signals();
  run->umask = 022;
  umask(0);
  u32 index = NO_STEP;
  last_failure = (struct failure){0};
  int result = take_stdio(run);
  if (!result) result = open_early(run);
  if (!result) result = run_section(run, SECTION_CONTAINER, &index);
  struct shared *shared = run->shared;
  struct text context = {shared->context, sizeof shared->context, 0};
  if (last_failure.what) text_add(&context, last_failure.what);
  if (last_failure.what && last_failure.detail) text_add(&context, " ");
  if (last_failure.detail) text_add(&context, last_failure.detail);
  shared->error = result < 0 ? -result : EPROTO;
  shared->step = index;
  shared->executing = 0;
  shared->failed = 1;
  tell_starter(run, index, shared->error, shared->context);
  _exit(127);
}
