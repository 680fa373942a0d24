/*
 * The addon sys.node: thin Node-API wrappers of system calls for src/kernel/sys.ts. No policy.
 *
 * Conventions: a function reads its arguments with the take_* helpers, which record the first failure and throw; it asks
 * `failed(&call)` once before it acts. A refused system call ends in throw_errno, which throws an Error with `code`,
 * `errno` and `syscall`. Everything here runs on a JavaScript thread unless its comment says otherwise.
 */
#ifndef GANTRY_SYS_H
#define GANTRY_SYS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define NAPI_VERSION 8
#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SYS_MAX_ARGUMENTS = 6, SYS_PATH_MAX = 4096 };

struct call {
  napi_env env;
  napi_value argument[SYS_MAX_ARGUMENTS];
  bool failed;
};

struct bytes {
  uint8_t *data;
  size_t length;
};

/* The arguments of this call. Missing ones are undefined, which every take_* refuses. */
struct call begin_call(napi_env env, napi_callback_info info);
static inline bool failed(const struct call *call) { return call->failed; }

int32_t take_int(struct call *call, unsigned index);
uint32_t take_uint(struct call *call, unsigned index);
int64_t take_bigint(struct call *call, unsigned index);
bool take_bool(struct call *call, unsigned index);
/* Copies a string of at most size-1 bytes; one that is longer or holds NUL throws ENAMETOOLONG or EINVAL. */
void take_string(struct call *call, unsigned index, char *into, size_t size);
/* As take_string, but a Uint8Array is taken as well: names of files are bytes, which need not be text. */
void take_path(struct call *call, unsigned index, char *into, size_t size);
/* The bytes stay owned by JavaScript and are valid until the call returns. */
struct bytes take_bytes(struct call *call, unsigned index);

/* Throws an Error for a positive errno and returns NULL, so that callers can `return throw_errno(...)`. `detail` may be NULL. */
napi_value throw_errno(napi_env env, int error, const char *syscall, const char *detail);

napi_value make_int(napi_env env, int64_t value);
napi_value make_bigint(napi_env env, uint64_t value);
napi_value make_undefined(napi_env env);
/* A new Uint8Array with a copy of the bytes; NULL with a pending exception when memory is short. */
napi_value make_bytes(napi_env env, const void *data, size_t length);
void set_field(napi_env env, napi_value object, const char *name, napi_value value);

/* undefined for a system call that answered 0, else throws errno. */
napi_value done_or_throw(napi_env env, int result, const char *syscall, const char *detail);

struct sys_function {
  const char *name;
  napi_callback function;
};

/* Each table ends in an entry without a name. */
extern const struct sys_function sys_process_functions[];
extern const struct sys_function sys_wait_functions[];
extern const struct sys_function sys_netlink_functions[];
extern const struct sys_function sys_socket_functions[];
extern const struct sys_function sys_mount_functions[];
extern const struct sys_function sys_file_functions[];

#endif
