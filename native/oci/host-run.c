/* run: a program from its start to its end, with its output, within a deadline. */
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNK = 16384, CHUNKS = 64, OUTPUT_MOST = 64 * 1024 * 1024, KILL_MS = 5000 };
enum { STDIN, STDOUT, STDERR, ENDED, WATCHED };

extern char **environ;

struct output {
  char *bytes;
  size_t length, capacity, most;
};

struct run {
  /* Ours: write end of stdin, read ends of stdout and stderr; -1 when closed. */
  int near[3];
  int far[3];
  const char *input;
  size_t input_left;
  struct output output[2];
  int pid, pidfd, status;
  bool timed_out;
};

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static int open_pipes(struct run *run) {
  for (int i = 0; i < 3; i++) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    run->near[i] = ends[i == STDIN];
    run->far[i] = ends[i != STDIN];
    if (fcntl(run->near[i], F_SETFL, O_NONBLOCK) != 0) return -1;
  }
  return 0;
}

static void feed(struct run *run) {
  ssize_t n = write(run->near[STDIN], run->input, run->input_left);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  /* A program that does not read its input has no need of it (EPIPE). */
  if (n < 0) n = (ssize_t)run->input_left;
  run->input += n;
  run->input_left -= (size_t)n;
  if (run->input_left == 0) close_fd(&run->near[STDIN]);
}

static void keep(struct output *output, const char *bytes, size_t length) {
  if (length > output->most - output->length) length = output->most - output->length;
  if (output->length + length > output->capacity) {
    size_t capacity = (output->length + length) * 2;
    char *more = realloc(output->bytes, capacity);
    if (more == NULL) return;
    output->bytes = more;
    output->capacity = capacity;
  }
  if (length > 0) memcpy(output->bytes + output->length, bytes, length);
  output->length += length;
}

/* Reads what is there, but no more than a pipe holds: who writes without end must not hold us beyond the deadline. */
static void drain(struct run *run, int stream) {
  char chunk[CHUNK];
  for (int count = 0; run->near[stream] >= 0 && count < CHUNKS; count++) {
    ssize_t n = read(run->near[stream], chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return close_fd(&run->near[stream]);
    keep(&run->output[stream - 1], chunk, (size_t)n);
    if (n < CHUNK) return;
  }
}

/* Until it has ended or the deadline has passed. A grandchild that keeps the pipes open is not waited for. */
static void relay(struct run *run, int64_t deadline) {
  for (;;) {
    struct pollfd fds[WATCHED] = {
        {.fd = run->near[STDIN], .events = POLLOUT},
        {.fd = run->near[STDOUT], .events = POLLIN},
        {.fd = run->near[STDERR], .events = POLLIN},
        {.fd = run->pidfd, .events = POLLIN},
    };
    int ready = poll(fds, WATCHED, remaining_ms(deadline));
    if (ready < 0 && errno != EINTR) return;
    if (ready == 0) {
      run->timed_out = true;
      return;
    }
    if (ready < 0) continue;
    if (fds[STDIN].revents != 0) feed(run);
    if (fds[STDOUT].revents != 0) drain(run, STDOUT);
    if (fds[STDERR].revents != 0) drain(run, STDERR);
    if (fds[ENDED].revents != 0) break;
  }
  drain(run, STDOUT);
  drain(run, STDERR);
}

/* 0, or a negative errno. */
static int start_and_relay(struct run *run, struct spawn_request *request, int64_t deadline, const char **step) {
  struct spawn_result child;
  int fds[3] = {run->far[0], run->far[1], run->far[2]};
  request->fds = fds;
  request->fd_count = 3;
  request->own_group = true;
  int error = start_child(request, &child);
  *step = child.step;
  for (int i = 0; i < 3; i++) close_fd(&run->far[i]);
  if (error != 0) return error;
  run->pid = child.pid;
  run->pidfd = child.pidfd;
  if (run->input_left == 0) close_fd(&run->near[STDIN]);
  relay(run, deadline);
  /* Not reaped yet, so the number is still this group's. Those of the group that outlive an orderly end may go on. */
  if (run->timed_out) kill(-run->pid, SIGKILL);
  int ended = reap_child(run->pid, run->pidfd, deadline_after(KILL_MS), &run->status);
  close_fd(&run->pidfd);
  *step = "waitpid";
  return ended < 0 ? -errno : ended == 0 ? -ETIMEDOUT : 0;
}

static JSValue make_result(JSContext *ctx, const struct run *run) {
  JSValue result = JS_NewObject(ctx);
  bool killed = WIFSIGNALED(run->status);
  set_member(ctx, result, "status", JS_NewInt32(ctx, killed ? -1 : WEXITSTATUS(run->status)));
  set_member(ctx, result, "signal", JS_NewInt32(ctx, killed ? WTERMSIG(run->status) : 0));
  set_member(ctx, result, "timedOut", JS_NewBool(ctx, run->timed_out));
  set_member(ctx, result, "stdout", JS_NewStringLen(ctx, run->output[0].bytes, run->output[0].length));
  set_member(ctx, result, "stderr", JS_NewStringLen(ctx, run->output[1].bytes, run->output[1].length));
  return result;
}

static JSValue run_request(JSContext *ctx, struct spawn_request *request, struct run *run, int64_t timeout) {
  struct path program;
  if (request->argv[0] == NULL) return throw_errno(ctx, EINVAL, "run", NULL);
  const char *file = request->path == NULL ? request->argv[0] : request->path;
  if (!find_program(file, request->env, &program)) return throw_errno(ctx, errno, "execve", file);
  request->path = program.text;
  const char *step = "pipe";
  int error = open_pipes(run) != 0 ? -errno : start_and_relay(run, request, deadline_after(timeout), &step);
  for (int i = 0; i < 3; i++) close_fd(&run->near[i]), close_fd(&run->far[i]);
  JSValue result = error != 0 ? throw_errno(ctx, -error, step, request->path) : make_result(ctx, run);
  free(run->output[0].bytes);
  free(run->output[1].bytes);
  return result;
}

struct options {
  struct path cwd, file;
  bool has_cwd, has_file;
  char **env;
  int64_t timeout, most;
  JSValue input;
};

static bool take_options(JSContext *ctx, JSValueConst object, struct options *options) {
  options->input = JS_GetPropertyStr(ctx, object, "stdin");
  if (!take_member_path(ctx, object, "cwd", &options->cwd, &options->has_cwd) ||
      !take_member_path(ctx, object, "file", &options->file, &options->has_file) ||
      !take_member_int64(ctx, object, "timeoutMs", &options->timeout) ||
      !take_member_int64(ctx, object, "maxOutput", &options->most) ||
      !take_member_strings(ctx, object, "env", &options->env))
    return false;
  if (options->most < 0 || options->most > OUTPUT_MOST) options->most = OUTPUT_MOST;
  return true;
}

HOST_FUNCTION(host_run) {
  UNUSED_SELF;
  struct options options = {.input = JS_UNDEFINED};
  char **words = take_strings(ctx, argv[0], "argv");
  JSValue result = JS_EXCEPTION;
  if (words != NULL && take_options(ctx, argv[1], &options)) {
    const char *text = NULL;
    struct run run = {.near = {-1, -1, -1}, .far = {-1, -1, -1}, .pidfd = -1};
    run.output[0].most = run.output[1].most = (size_t)options.most;
    if (JS_IsString(options.input)) text = JS_ToCStringLen(ctx, &run.input_left, options.input);
    run.input = text;
    struct spawn_request request = {.argv = words, .env = options.env == NULL ? environ : options.env};
    if (options.has_cwd) request.cwd = options.cwd.text;
    if (options.has_file) request.path = options.file.text;
    result = run_request(ctx, &request, &run, options.timeout);
    if (text != NULL) JS_FreeCString(ctx, text);
  }
  JS_FreeValue(ctx, options.input);
  free_strings(options.env);
  free_strings(words);
  return result;
}

static const JSCFunctionListEntry entries[] = {JS_CFUNC_DEF("run", 2, host_run)};
HOST_TABLE(host_run_table, entries);
