#include "monitor.h"

#include "log.h"
#include "operations.h"
#include "relay.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

/* Overwrites the memory of the arguments and the environment behind them, which is what ps shows. No longer than that. */
static void show_title(char **argv, const char *title) {
  char *end = argv[0];
  for (char **word = argv; *word; word++)
    if (*word == end) end += strlen(end) + 1;
  for (char **word = environ; *word; word++)
    if (*word == end) end += strlen(end) + 1;
  size_t room = (size_t)(end - argv[0]), length = strlen(title);
  if (length + 1 > room) length = room - 1;
  memset(argv[0], 0, room);
  memcpy(argv[0], title, length);
}

/* What is needed before the first step: nothing of it touches the host beyond the container's own directory. */
static int prepare(struct run *run, int *listener) {
  const struct options *options = &run->plan.options;
  u32 extra = options->attach_count > options->preserved ? options->attach_count : options->preserved;
  for (u32 i = 0; i < extra; i++)
    if (fcntl((int)(4 + i), F_GETFD) < 0) return fail(EBADF, "a file descriptor that was promised is missing", NULL);
  run->shared = mmap(NULL, sizeof *run->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (run->shared == MAP_FAILED) return fail(ENOMEM, "shared page", NULL);
  run->shared->step = NO_STEP;
  int result = run->relay ? relay_prepare(run) : 0;
  if (!result && options->log_path && !options->no_log) {
    result = log_open(options->log_path, options->log_bytes, options->log_files);
    if (result) fail(-result, "open log", options->log_path);
  }
  if (!result && options->socket_path) {
    *listener = listen_at(options->socket_path);
    if (*listener < 0) return *listener;
  }
  return result;
}

/* Nothing was started, or it is gone again: undo, tell, end. */
static int give_up(struct run *run, u32 index, int result, const char *context) {
  u32 step;
  i32 error;
  const struct options *options = &run->plan.options;
  if (run->shared) run_teardown(run, &step, &error);
  if (run->pid_file) unlink(run->pid_file);
  report_failed(run, index, -result, context);
  if (options->socket_path && run->shared) unlink(options->socket_path);
  for (u32 i = 0; run->relay && run->shared && i < options->attach_count; i++) shutdown((int)(4 + i), SHUT_RDWR);
  return 1;
}

int monitor_main(struct run *run) {
  char words[sizeof run->shared->context];
  struct text context = {words, sizeof words, 0};
  int listener = -1;
  words[0] = 0;
  int result = plan_read(run->control, &run->plan);
  if (result == -EPIPE || result == -ETIMEDOUT) return 1; /* who started this is gone, or stuck: nothing was done */
  if (!result && run->plan.options.title) show_title(run->argv, run->plan.options.title);
  if (!result) result = prepare(run, &listener);
  if (result) {
    if (last_failure.what) text_add(&context, last_failure.what);
    if (last_failure.what && last_failure.detail) text_add(&context, " ");
    if (last_failure.detail) text_add(&context, last_failure.detail);
    return give_up(run, NO_STEP, result, words);
  }
  u32 index;
  result = start_container(run, &index, &context);
  if (result) return give_up(run, index, result, words);
  munmap(run->shared, sizeof *run->shared);
  run->start_time = start_time_of(run->child);
  report_started(run);
  if (!run->relay && run->plan.options.detach) return 0;
  run_until_exit(run, listener);
  return 0;
}
