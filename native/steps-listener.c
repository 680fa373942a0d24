/* A seccomp filter that asks somebody: the kernel's fd for the questions goes to a socket of the host, with the process's
 * state as JSON (runtime-spec runtime.md, "The Seccomp listener").
 *
 * The filter is in force as soon as the fd exists, and may stop whatever this process calls next. So a second process, made
 * before, with the same table of fds and without the filter, does the handing over. */
#include "monitor.h"
#include "operations.h"
#include "steps.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 60000, STATE_BYTES = 64 << 10 };

/* Polling, because nothing can wake one of the two but shared memory; it takes as long as two system calls. */
static bool wait_for(const volatile i32 *value) {
  struct timespec pause = {.tv_nsec = 50000};
  for (i64 end = now_ms() + WAIT_MS; !*value; nanosleep(&pause, NULL))
    if (now_ms() > end) return false;
  return true;
}

static _Noreturn void carry(struct run *run) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct shared *shared = run->shared;
  if (!wait_for(&shared->notify) || shared->notify < 0) _exit(1);
  if (channel_send(run->channel[1], MESSAGE_LISTENER, 0, shared->notify - 1)) _exit(1);
  /* The fd is closed by execve, and a filter with nobody to ask answers ENOSYS: not before it is over there. */
  _exit(wait_for(&shared->notify_taken) ? 0 : 1);
}

int step_seccomp_listener(struct run *run, const struct arg *a) {
  size_t count = a[0].length / sizeof(struct sock_filter);
  if (!count || count > BPF_MAXINSNS || a[0].length % sizeof(struct sock_filter)) return fail(EINVAL, "seccomp program", NULL);
  int prepared = prepare_exec(run);
  if (prepared) return prepared;
  struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)(uintptr_t)a[0].bytes};
  struct clone_args args = {.flags = CLONE_FILES, .exit_signal = SIGCHLD};
  run->shared->notify = run->shared->notify_taken = 0;
  long carrier = syscall(SYS_clone3, &args, sizeof args);
  if (carrier < 0) return fail(errno, "clone", NULL);
  if (!carrier) carry(run);
  long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, a[1].number | SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  int error = errno;
  /* Memory, not a call. From here on each call may be a question. */
  run->shared->notify = fd < 0 ? -1 : (i32)fd + 1;
  int status = 0;
  long ended;
  do ended = syscall(SYS_wait4, carrier, &status, 0, NULL);
  while (ended < 0 && errno == EINTR);
  if (fd < 0) return fail(error, "load seccomp filter", NULL);
  close((int)fd);
  return ended == carrier && status ? fail(EPIPE, "hand over the seccomp listener", NULL) : 0;
}

/* ---- in the monitor ---- */

static const struct step *find_step(struct run *run, struct step *step) {
  struct cursor cursor = {0};
  while (plan_next(&run->plan, &cursor, SECTION_CONTAINER, step))
    if (step->op == OP_SECCOMP_LISTENER) return step;
  return NULL;
}

/* The texts of the plan, the process's pid between each two. */
static int join_state(const struct run *run, const struct arg *texts, struct text *state) {
  const u8 *cursor = texts->bytes;
  size_t wanted = 0;
  for (u32 i = 0; i < texts->count; i++) {
    const char *part = next_string(&cursor);
    size_t before = state->length;
    if (i) text_add_number(state, (u64)run->child);
    wanted += state->length - before + strlen(part);
    text_add(state, part);
  }
  return state->length == wanted ? 0 : -E2BIG;
}

int hand_over_listener(struct run *run, int notify, u32 *index) {
  static char bytes[STATE_BYTES];
  struct text state = {bytes, sizeof bytes, 0};
  struct step step;
  struct arg a[MAX_ARGUMENTS];
  int result = -EPROTO;
  if (find_step(run, &step) && !decode("b4sS", step.payload, step.length, a)) {
    *index = step.index;
    result = join_state(run, &a[3], &state);
    if (!result) result = send_fd(a[2].text, notify, bytes, state.length);
    fail(-result, "failed to connect with seccomp agent", a[2].text);
  }
  close(notify);
  if (result) return result;
  *index = NO_STEP;
  run->shared->notify_taken = 1;
  last_failure = (struct failure){0};
  return 0;
}
