/*
 * gantry-oci's C side: QuickJS and the global `host` of src/runtime/oci/host.ts. Thin, blocking wrappers of system calls
 * with deadlines; no policy.
 *
 * Conventions: a function reads its arguments with the take_* helpers. Each returns false after throwing, and the function
 * then returns JS_EXCEPTION. A refused system call ends in throw_errno. All fds are close-on-exec.
 */
#ifndef GANTRY_OCI_HOST_H
#define GANTRY_OCI_HOST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "quickjs.h"

enum { HOST_PATH_MAX = 4096, HOST_MAX_ITEMS = 65536, HOST_MAX_FDS = 4096 };

#define HOST_FUNCTION(name) static JSValue name(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
#define UNUSED_SELF (void)self, (void)argc

/* A path, NUL-terminated. Longer ones throw ENAMETOOLONG, a NUL byte within EINVAL. */
struct path {
  char text[HOST_PATH_MAX];
};

struct bytes {
  const uint8_t *data;
  size_t length;
};

bool take_path(JSContext *ctx, JSValueConst value, struct path *into);
bool take_int(JSContext *ctx, JSValueConst value, int *into);
bool take_int64(JSContext *ctx, JSValueConst value, int64_t *into);
/* The bytes of a Uint8Array stay owned by JavaScript. */
bool take_bytes(JSContext *ctx, JSValueConst value, struct bytes *into);
/* A NULL-terminated list of malloc'd strings, for free_strings; NULL after throwing. */
char **take_strings(JSContext *ctx, JSValueConst list, const char *what);
void free_strings(char **strings);
/* The count, or -1 after throwing. `fds` has room for HOST_MAX_FDS. */
int take_fds(JSContext *ctx, JSValueConst list, int *fds);
/* As take_path and take_strings of an optional member: *present is false when it is undefined. */
bool take_member_path(JSContext *ctx, JSValueConst object, const char *name, struct path *into, bool *present);
bool take_member_strings(JSContext *ctx, JSValueConst object, const char *name, char ***into);
bool take_member_int64(JSContext *ctx, JSValueConst object, const char *name, int64_t *into);

/* Throws a Error; `path` may be NULL. */
JSValue throw_errno(JSContext *ctx, int error, const char *call, const char *path);
/* undefined for 0, else throws errno. */
JSValue done_or_throw(JSContext *ctx, int result, const char *call, const char *path);
/* A number that is not negative, else throws errno. */
JSValue number_or_throw(JSContext *ctx, int64_t result, const char *call, const char *path);
/* A Uint8Array with a copy. */
JSValue make_bytes(JSContext *ctx, const void *data, size_t length);
JSValue make_strings(JSContext *ctx, char *const *strings);
void set_member(JSContext *ctx, JSValueConst object, const char *name, JSValue value);

/* Deadlines: an absolute CLOCK_MONOTONIC time in ms, or NO_DEADLINE for a negative time-out. */
#define NO_DEADLINE INT64_MAX
int64_t monotonic_ms(void);
int64_t deadline_after(int64_t timeout_ms);
/* What poll(2) takes: -1 for none, 0 when it has passed. */
int remaining_ms(int64_t deadline);
void sleep_us(int64_t microseconds);
/* poll of one fd, restarted when interrupted: 1 ready, 0 at the deadline, -1 with errno. */
int wait_fd(int fd, short events, int64_t deadline);
/* Everything, also to a non-blocking fd. -1 with errno. */
int write_fully(int fd, const void *data, size_t length);

/* Where JavaScript values live; see arena.c. */
extern const JSMallocFunctions arena_functions;

/* Imports come from the bundle that is embedded. */
void enable_modules(JSRuntime *runtime);
/* Reads and runs a module of it; false with an exception pending. */
bool run_module(JSContext *ctx, const char *name);

/* An fd of the embedded gantry-init as a sealed memory file, made at the first call; -1 with errno. */
int init_program(void);

/* Puts the terminal back as it was before rawTerminal. Safe to call from a signal handler and more than once. */
void restore_terminal(void);

/* Each table adds to `host`. */
struct host_table {
  const JSCFunctionListEntry *entries;
  int count;
};
extern const struct host_table host_file_table, host_whole_file_table, host_tree_table, host_stat_table, host_time_table,
    host_process_table, host_spawn_table, host_run_table, host_socket_table, host_poll_table, host_terminal_table,
    host_bpf_table, host_oom_table, host_bundle_table;
#define HOST_TABLE(name, list) const struct host_table name = {list, (int)(sizeof(list) / sizeof((list)[0]))}

/* TextEncoder, TextDecoder, and a JSON.parse whose depth is bounded. False when memory is short. */
bool add_text_globals(JSContext *ctx, JSValueConst global);

#endif
