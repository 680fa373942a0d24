/* spawn, waitPid, exec. */
#include "child.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* Fills program or path of the request; "gantry-init" is the embedded program. */
static bool choose_program(JSContext *ctx, const struct path *file, struct spawn_request *request) {
  if (strcmp(file->text, "gantry-init") != 0) {
    request->path = file->text;
    return true;
  }
  request->program = init_program();
  if (request->program < 0) throw_errno(ctx, errno, "memfd_create", file->text);
  return request->program >= 0;
}

static JSValue spawn_now(JSContext *ctx, const struct spawn_request *request, const char *file) {
  struct spawn_result child;
  int error = start_child(request, &child);
  if (error != 0) return throw_errno(ctx, -error, child.step, request->cwd != NULL && strcmp(child.step, "chdir") == 0 ? request->cwd : file);
  close(child.pidfd);
  return JS_NewInt32(ctx, child.pid);
}

HOST_FUNCTION(host_spawn) {
  UNUSED_SELF;
  static int fds[HOST_MAX_FDS];
  struct path file, cwd;
  bool has_file, has_cwd;
  if (!take_member_path(ctx, argv[0], "file", &file, &has_file)) return JS_EXCEPTION;
  if (!has_file) return JS_ThrowTypeError(ctx, "spawn needs a file");
  if (!take_member_path(ctx, argv[0], "cwd", &cwd, &has_cwd)) return JS_EXCEPTION;
  JSValue list = JS_GetPropertyStr(ctx, argv[0], "fds");
  int count = take_fds(ctx, list, fds);
  JS_FreeValue(ctx, list);
  struct spawn_request request = {.fds = fds, .fd_count = count, .cwd = has_cwd ? cwd.text : NULL};
  if (count < 0 || !choose_program(ctx, &file, &request)) return JS_EXCEPTION;
  char **words = NULL, **env = NULL;
  JSValue result = JS_EXCEPTION;
  if (take_member_strings(ctx, argv[0], "argv", &words) && take_member_strings(ctx, argv[0], "env", &env)) {
    char *none[] = {NULL};
    request.argv = words == NULL ? none : words;
    request.env = env == NULL ? environ : env;
    result = spawn_now(ctx, &request, file.text);
  }
  free_strings(words);
  free_strings(env);
  return result;
}

HOST_FUNCTION(host_wait_pid) {
  UNUSED_SELF;
  int pid, status = 0;
  int64_t timeout;
  if (!take_int(ctx, argv[0], &pid) || !take_int64(ctx, argv[1], &timeout)) return JS_EXCEPTION;
  /* 0 and negative numbers would reap others. */
  if (pid <= 0) return throw_errno(ctx, EINVAL, "waitpid", NULL);
  int ended = reap_child(pid, -1, deadline_after(timeout), &status);
  if (ended < 0) return throw_errno(ctx, errno, "waitpid", NULL);
  return ended == 0 ? JS_UNDEFINED : JS_NewInt32(ctx, exit_code(status));
}

HOST_FUNCTION(host_exec) {
  UNUSED_SELF;
  struct path file;
  if (!take_path(ctx, argv[0], &file)) return JS_EXCEPTION;
  char **words = take_strings(ctx, argv[1], "argv");
  char **env = words == NULL ? NULL : take_strings(ctx, argv[2], "env");
  if (env == NULL) return free_strings(words), JS_EXCEPTION;
  restore_terminal();
  /* Ignored signals would stay so across exec. */
  signal(SIGPIPE, SIG_DFL);
  execve(file.text, words, env);
  int error = errno;
  signal(SIGPIPE, SIG_IGN);
  free_strings(words);
  free_strings(env);
  return throw_errno(ctx, error, "execve", file.text);
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("spawn", 1, host_spawn),
    JS_CFUNC_DEF("waitPid", 2, host_wait_pid),
    JS_CFUNC_DEF("exec", 3, host_exec),
};
HOST_TABLE(host_spawn_table, entries);
