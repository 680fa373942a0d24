/*
 * gantry-oci: QuickJS, the global `host`, and the verbs of src/runtime/oci as bytecode. Made for starting fast: a static
 * program, only the parts of the language that the verbs use, nothing freed at the end.
 */
#include "host.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

enum {
  MEMORY_MOST = 256 * 1024 * 1024,
  COLLECT_FROM = 32 * 1024 * 1024,
  STACK_MOST = 1024 * 1024,
  STACK_SPARE = 64 * 1024
};

extern char **environ;
/* What the verbs do not use (Proxy, Promise, normalisation, eval) is left out. */
static JSContext *make_context(JSRuntime *runtime) {
  JSContext *ctx = JS_NewContextRaw(runtime);
  if (ctx == NULL) return NULL;
  JS_AddIntrinsicBaseObjects(ctx);
  JS_AddIntrinsicDate(ctx);
  JS_AddIntrinsicRegExp(ctx);
  JS_AddIntrinsicJSON(ctx);
  JS_AddIntrinsicMapSet(ctx);
  JS_AddIntrinsicTypedArrays(ctx);
  JS_AddIntrinsicBigInt(ctx);
  return ctx;
}

/* The caller may have lowered the stack's limit. */
static size_t stack_size(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur / 2 >= STACK_MOST) return STACK_MOST;
  return limit.rlim_cur / 2 > STACK_SPARE ? limit.rlim_cur / 2 : STACK_SPARE;
}

static void add_host(JSContext *ctx, JSValueConst global, const char *program, char **args) {
  static const struct host_table *const tables[] = {
      &host_file_table,  &host_whole_file_table, &host_tree_table, &host_stat_table,   &host_time_table,
      &host_process_table, &host_spawn_table,    &host_run_table,  &host_socket_table, &host_poll_table,
      &host_terminal_table, &host_bpf_table,     &host_oom_table,  &host_bundle_table};
  JSValue host = JS_NewObject(ctx);
  for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
    JS_SetPropertyFunctionList(ctx, host, tables[i]->entries, tables[i]->count);
  set_member(ctx, host, "program", JS_NewString(ctx, program));
  set_member(ctx, host, "args", make_strings(ctx, args));
  set_member(ctx, host, "env", make_strings(ctx, environ));
  JS_DefinePropertyValueStr(ctx, global, "host", host, 0);
}

/* Prints what was thrown. Only a bug gets here: main reports all others itself. */
static int report(JSContext *ctx) {
  JSValue thrown = JS_GetException(ctx);
  const char *words = JS_ToCString(ctx, thrown);
  JSValue stack = JS_GetPropertyStr(ctx, thrown, "stack");
  const char *lines = JS_IsString(stack) ? JS_ToCString(ctx, stack) : NULL;
  dprintf(STDERR_FILENO, "gantry-oci: %s\n%s", words == NULL ? "out of memory" : words, lines == NULL ? "" : lines);
  return 1;
}

/* The entry publishes `gantryMain`; its answer is the exit code. */
static int run_bundle(JSContext *ctx, JSValueConst global) {
  if (!run_module(ctx, "entry.js")) return report(ctx);
  JSValue entry = JS_GetPropertyStr(ctx, global, "gantryMain");
  JSValue answer = JS_Call(ctx, entry, JS_UNDEFINED, 0, NULL);
  int status;
  if (JS_IsException(answer) || JS_ToInt32(ctx, &status, answer) != 0) return report(ctx);
  return status;
}

/* A closed standard fd would be given to the next file that is opened. */
static void open_standard_fds(void) {
  struct stat found;
  for (int fd = 0; fd < 3; fd++)
    if (fstat(fd, &found) != 0 && open("/dev/null", O_RDWR) != fd) _exit(1);
}

static int run(const char *program, char **args) {
  JSRuntime *runtime = JS_NewRuntime2(&arena_functions, NULL);
  if (runtime == NULL) return 1;
  JS_SetMemoryLimit(runtime, MEMORY_MOST);
  JS_SetGCThreshold(runtime, COLLECT_FROM);
  JS_SetMaxStackSize(runtime, stack_size());
  enable_modules(runtime);
  JSContext *ctx = make_context(runtime);
  if (ctx == NULL) return 1;
  JSValue global = JS_GetGlobalObject(ctx);
  if (!add_text_globals(ctx, global)) return report(ctx);
  add_host(ctx, global, program, args);
  return run_bundle(ctx, global);
}

int main(int argc, char **argv) {
  open_standard_fds();
  /* A reader that has gone is an error of write. */
  signal(SIGPIPE, SIG_IGN);
  int status = argc > 0 ? run(argv[0], argv + 1) : run("", argv);
  restore_terminal();
  _exit(status);
}
