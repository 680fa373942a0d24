/* Running sections 1 and 2 side by side, and undoing them. */
#include "monitor.h"
#include "operations.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 120000 };

static void add_failure(struct text *context) {
  if (last_failure.what) text_add(context, last_failure.what);
  if (last_failure.what && last_failure.detail) text_add(context, " ");
  if (last_failure.detail) text_add(context, last_failure.detail);
}

/* The master of the container's pty: kept for the relay, or handed to who asked for it. */
static int take_console(struct run *run, int master) {
  if (run->relay) {
    if (run->ends[1] < 0) run->ends[1] = master;
    else close(master);
    return 0;
  }
  const char *path = run->plan.options.console_socket;
  int result = path ? send_console(path, master) : fail(EINVAL, "console without console socket", NULL);
  close(master);
  return result;
}

/* Mode run: true when who started this has gone before it heard how the start went. Waits for a message of the child. */
static bool starter_gone(const struct run *run, int timeout_ms) {
  struct pollfd fds[] = {{.fd = run->channel[0], .events = POLLIN}, {.fd = run->relay ? -1 : run->control}};
  int ready;
  do ready = poll(fds, 2, timeout_ms);
  while (ready < 0 && errno == EINTR);
  return ready > 0 && !fds[0].revents && fds[1].revents;
}

/* Until the program runs (the channel closes with execve), waits to be started, or has failed. */
static int await_child(struct run *run, u32 *index) {
  /* Hooks have time-outs of their own. */
  i64 deadline = now_ms() + START_MS + (i64)run->plan.hook_seconds * 1000;
  for (;;) {
    i32 value;
    int passed = -1;
    i64 left = deadline - now_ms();
    int wait = left > INT32_MAX ? INT32_MAX : left > 0 ? (int)left : 0;
    if (starter_gone(run, wait)) return fail(ECANCELED, "who started this is gone", NULL);
    int kind = channel_receive(run->channel[0], &value, &passed, wait);
    if (kind < 0) return fail(-kind, "wait for the container's process", NULL);
    if (kind == MESSAGE_READY) return 0;
    if (kind == MESSAGE_HOOKS) {
      int result = run_section(run, SECTION_HOOKS, index);
      if (result) return result;
      (void)channel_send(run->channel[0], MESSAGE_GO, 0, -1); /* a child that is gone by now says why */
      continue;
    }
    if (kind == MESSAGE_CONSOLE && passed >= 0) {
      int result = take_console(run, passed);
      if (result) return result;
      continue;
    }
    if (kind == MESSAGE_LISTENER && passed >= 0) {
      int result = hand_over_listener(run, passed, index);
      if (result) return result;
      continue;
    }
    if (!kind) return run->shared->executing ? 0 : -ECHILD;
  }
}

/* The runtime has started the program, or has said why not. */
static int end_adoption(struct run *run, int result, struct text *context) {
  add_failure(context);
  if (result) kill_child(run);
  for (int i = 0; !result && i < 3; i++) close_fd(&run->stdio[i]);
  return result;
}

int start_container(struct run *run, u32 *index, struct text *context) {
  *index = NO_STEP;
  int result = run_section(run, SECTION_MONITOR, index);
  if (run->plan.adopts && !result) note_oom_kills(run);
  if (run->plan.adopts) return end_adoption(run, result, context);
  if (!result) note_oom_kills(run); /* the cgroup exists, and nothing of the container's runs yet */
  /* A child that is gone by now says why below. */
  if (!result) (void)channel_send(run->channel[0], MESSAGE_GO, 0, -1);
  if (!result) result = await_child(run, index);
  add_failure(context);
  if (!result) {
    close_fd(&run->channel[0]);
    for (int i = 0; i < 3; i++) close_fd(&run->stdio[i]);
    return 0;
  }
  kill_child(run);
  context->capacity = context->capacity > sizeof run->shared->context ? sizeof run->shared->context : context->capacity;
  if (run->shared->failed) {
    /* The child's failure came first: the monitor's, if any, is its consequence. */
    *index = run->shared->step;
    context->length = 0;
    run->shared->context[sizeof run->shared->context - 1] = 0;
    text_add(context, run->shared->context);
    return -run->shared->error;
  }
  if (result != -ECHILD) return result;
  *index = run->shared->step;
  context->length = 0;
  text_add(context, "the container's process was killed while it was set up");
  return -ECANCELED;
}

void kill_child(struct run *run) {
  if (run->pidfd < 0) return;
  siginfo_t info;
  syscall(SYS_pidfd_send_signal, run->pidfd, SIGKILL, NULL, 0);
  while (waitid(P_PIDFD, (id_t)run->pidfd, &info, WEXITED) && errno == EINTR) {}
  close_fd(&run->pidfd);
  run->child = 0;
}

void run_teardown(struct run *run, u32 *first_failed, i32 *error) {
  struct cursor cursor = {0};
  struct step step;
  struct arg args[MAX_ARGUMENTS];
  *first_failed = NO_STEP;
  *error = 0;
  while (plan_next(&run->plan, &cursor, SECTION_TEARDOWN, &step)) {
    const struct operation *operation = operation_of(step.op);
    int result = decode(operation->signature, step.payload, step.length, args);
    if (!result) result = operation->act(run, args);
    if (result >= 0 || step.optional || *first_failed != NO_STEP) continue;
    *first_failed = step.index;
    *error = -result;
  }
}
