/* Hooks: programs of the host's administrator (or, after pivot-root, of the container) that run while it is made. The
 * monitor runs those of section 4 when the child asks; the child runs the others itself. */
#include "operations.h"
#include "steps.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_BYTES = 16 << 10, TAIL_BYTES = 512, PIPE_BYTES = 64 << 10, PIECES = 2 * PIPE_BYTES / TAIL_BYTES };

/* The last bytes of what a hook wrote, for the error that names it. */
struct tail {
  char bytes[TAIL_BYTES + 1];
  size_t length;
};

struct hook {
  const char *path, *dir;
  char **argv, **env;
  int input, output;
  pid_t parent;
  volatile int error; /* why it could not be executed; the parent reads it when the hook's memory is its own again */
};

/* ---- the hook's process ---- */

/* Shares memory with its waiting parent, but neither fds nor signal handlers nor the working directory. */
static int become_hook(void *argument) {
  struct hook *hook = argument;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != hook->parent) _exit(127);
  setpgid(0, 0); /* a time-out kills what the hook started, too */
  umask(022);
  reset_signals();
  if (*hook->dir && chdir(hook->dir)) hook->error = errno;
  if (!hook->error && (dup2(hook->input, 0) < 0 || dup2(hook->output, 1) < 0 || dup2(hook->output, 2) < 0)) hook->error = errno;
  if (!hook->error && syscall(SYS_close_range, 3, ~0u, 0)) hook->error = errno;
  if (!hook->error) {
    execve(hook->path, hook->argv, hook->env);
    hook->error = errno;
  }
  _exit(127);
}

/* ---- its input ---- */

/* The state as the hook reads it: the pid stands where the plan has room for it. */
struct input {
  struct iovec parts[3];
  size_t length;
  char pid[24];
};

static void make_input(struct input *input, const struct arg *state, u64 at, pid_t pid) {
  struct text text = {input->pid, sizeof input->pid, 0};
  text_add_number(&text, (u64)pid);
  u8 *bytes = (u8 *)(uintptr_t)state->bytes; /* writev only reads them */
  input->parts[0] = (struct iovec){bytes, at};
  input->parts[1] = (struct iovec){input->pid, text.length};
  input->parts[2] = (struct iovec){bytes + at + HOOK_PID_BYTES, state->length - at - HOOK_PID_BYTES};
  input->length = state->length - HOOK_PID_BYTES + text.length;
}

/* A pipe that holds the whole text already: nobody has to feed it, and a hook that reads nothing hinders nobody. */
static int full_pipe(const struct input *input) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) return -errno;
  if (input->length > PIPE_BYTES) (void)fcntl(ends[1], F_SETPIPE_SZ, (int)input->length);
  ssize_t n = writev(ends[1], input->parts, COUNT(input->parts));
  close(ends[1]);
  if (n == (ssize_t)input->length && !fcntl(ends[0], F_SETFL, 0)) return ends[0];
  close(ends[0]);
  return -EFBIG;
}

/* Where pipes may not be that long (fs.pipe-user-pages-soft): a file without a name. */
static int full_file(const struct input *input) {
  int fd = memfd_create("state", MFD_CLOEXEC);
  if (fd < 0) return -errno;
  ssize_t n = writev(fd, input->parts, COUNT(input->parts));
  if (n == (ssize_t)input->length && !lseek(fd, 0, SEEK_SET)) return fd;
  int result = n < 0 ? -errno : -ENOSPC;
  close(fd);
  return result;
}

/* ---- waiting ---- */

/* What is there, but no more than a pipe holds: who writes without end must not hold us beyond the deadline. */
static void take_output(int fd, struct tail *tail) {
  char piece[TAIL_BYTES];
  ssize_t n;
  for (int pieces = 0; pieces < PIECES && (n = read(fd, piece, sizeof piece)) > 0; pieces++) {
    size_t length = (size_t)n, kept = tail->length + length > TAIL_BYTES ? TAIL_BYTES - length : tail->length;
    memmove(tail->bytes, tail->bytes + tail->length - kept, kept);
    memcpy(tail->bytes + kept, piece, length);
    tail->length = kept + length;
  }
  for (size_t i = 0; i < tail->length; i++)
    if (!tail->bytes[i]) tail->bytes[i] = ' ';
  tail->bytes[tail->length] = 0;
}

/* In the monitor a hook ends with the container's process, and in mode run with who started this. */
static int reason_to_stop(const struct pollfd *child, const struct pollfd *control) {
  if (child->revents) return -ECHILD;
  return control->revents ? -ECANCELED : 0;
}

/* Until the hook's own process is gone: what it left behind with its output open is not waited for. */
static int await_hook(const struct run *run, int pidfd, pid_t pid, int output, u32 seconds, siginfo_t *info, struct tail *tail) {
  i64 deadline = now_ms() + (i64)seconds * 1000;
  int result = 0;
  for (;;) {
    i64 left = deadline - now_ms();
    bool monitor = run->child > 0;
    struct pollfd wait[] = {
        {.fd = pidfd, .events = POLLIN},
        {.fd = output, .events = POLLIN},
        {.fd = monitor ? run->pidfd : -1, .events = POLLIN},
        {.fd = monitor && !run->relay ? run->control : -1},
    };
    int ready = left <= 0 ? 0 : poll(wait, COUNT(wait), left > INT32_MAX ? INT32_MAX : (int)left);
    if (ready < 0 && errno != EINTR) result = -errno;
    if (!ready && left <= INT32_MAX) result = -ETIMEDOUT;
    if (ready > 0 && !result && !wait[0].revents) result = reason_to_stop(&wait[2], &wait[3]);
    if (result || wait[0].revents) break;
    if (!(wait[1].revents & POLLIN) && wait[1].revents) output = -1; /* closed by the hook */
    else if (output >= 0) take_output(output, tail);
  }
  if (result) {
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
  }
  while (waitid(P_PIDFD, (id_t)pidfd, info, WEXITED) && errno == EINTR) {}
  if (output >= 0) take_output(output, tail);
  return result;
}

/* ---- the steps ---- */

/* "createRuntime hook #1: /bin/false: exit status 1: last words": the errno says only that it failed. */
static int hook_failure(int error, const struct arg *a, const char *words, u64 number, const char *unit, const char *more) {
  static char said[TAIL_BYTES + 768];
  struct text text = {said, sizeof said, 0};
  text_add(&text, a[0].text);
  text_add(&text, ": ");
  text_add(&text, a[1].text);
  text_add(&text, ": ");
  text_add(&text, words);
  if (number) text_add_number(&text, number);
  text_add(&text, unit);
  if (*more) text_add(&text, ": ");
  text_add(&text, more);
  return fail(error, NULL, said);
}

static int start_hook(struct hook *hook, pid_t *pid) {
  static _Alignas(16) char stack[STACK_BYTES];
  int pidfd = -1;
  hook->parent = getpid();
  *pid = clone(become_hook, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, hook, &pidfd);
  return *pid < 0 ? -errno : pidfd;
}

/* Payload: label, path, argv, env, seconds, state, offset of the pid in it, working directory. */
int step_run_hook(struct run *run, const struct arg *a) {
  static struct tail tail;
  char **argv = (char **)(void *)run->plan.scratch;
  struct hook hook = {.path = a[1].text, .dir = a[7].text, .argv = argv, .env = list_pointers(&a[2], argv)};
  struct input input;
  int output[2];
  siginfo_t info = {0};
  list_pointers(&a[3], hook.env);
  add_home(hook.env); /* in the container, after step home: the program's environment */
  tail.length = 0;
  make_input(&input, &a[5], a[6].number, run->child > 0 ? run->child : getpid());
  hook.input = full_pipe(&input);
  if (hook.input < 0) hook.input = full_file(&input);
  if (hook.input < 0) return fail(-hook.input, "keep the state for", a[0].text);
  if (pipe2(output, O_CLOEXEC)) {
    close(hook.input);
    return fail(errno, "pipe for", a[0].text);
  }
  (void)fcntl(output[0], F_SETFL, O_NONBLOCK); /* the hook's end blocks, as programs expect */
  hook.output = output[1];
  pid_t pid;
  int pidfd = start_hook(&hook, &pid);
  close(hook.input);
  close(output[1]);
  int result = pidfd < 0 ? pidfd : await_hook(run, pidfd, pid, output[0], (u32)a[4].number, &info, &tail);
  close(output[0]);
  close_fd(&pidfd);
  if (pid < 0) return fail(-result, "start", a[0].text);
  if (result == -ETIMEDOUT) return hook_failure(ETIMEDOUT, a, "hook ran past specified timeout of ", a[4].number, "s", tail.bytes);
  if (result) return fail(-result, result == -ECANCELED ? "who started this is gone during" : "wait for", a[0].text);
  if (hook.error) return hook_failure(hook.error, a, "cannot be executed", 0, "", "");
  if (info.si_code == CLD_EXITED && !info.si_status) return 0;
  return hook_failure(EIO, a, info.si_code == CLD_EXITED ? "exit status " : "signal ", (u64)info.si_status, "", tail.bytes);
}

/* In the child: until the monitor has run the hooks of section 4. */
int step_ask_hooks(struct run *run, const struct arg *a) {
  (void)a;
  i32 value;
  int passed;
  int result = channel_send(run->channel[1], MESSAGE_HOOKS, 0, -1);
  if (result) return fail(-result, "ask the monitor for hooks", NULL);
  int kind = channel_receive(run->channel[1], &value, &passed, -1);
  return kind == MESSAGE_GO ? 0 : fail(kind < 0 ? -kind : EPIPE, "wait for the hooks", NULL);
}
