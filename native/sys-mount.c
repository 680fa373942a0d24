/* What a confined child asks of the kernel: a namespace of its own, mounts, a root. All of it acts on the calling thread. */
#include "sys.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

enum { FSTYPE_MAX = 64, DATA_MAX = 64 * 1024 };

static const char *or_null(const char *text) { return text[0] == '\0' ? NULL : text; }

static napi_value sys_mount(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char source[SYS_PATH_MAX], target[SYS_PATH_MAX], fstype[FSTYPE_MAX], data[DATA_MAX];
  take_string(&call, 0, source, sizeof source);
  take_string(&call, 1, target, sizeof target);
  take_string(&call, 2, fstype, sizeof fstype);
  uint32_t flags = take_uint(&call, 3);
  take_string(&call, 4, data, sizeof data);
  if (failed(&call)) return NULL;
  return done_or_throw(env, mount(or_null(source), target, or_null(fstype), flags, or_null(data)), "mount", target);
}

static napi_value sys_umount(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char target[SYS_PATH_MAX];
  take_string(&call, 0, target, sizeof target);
  int flags = take_int(&call, 1);
  if (failed(&call)) return NULL;
  return done_or_throw(env, umount2(target, flags), "umount2", target);
}

static napi_value sys_chroot(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char path[SYS_PATH_MAX];
  take_string(&call, 0, path, sizeof path);
  if (failed(&call)) return NULL;
  return done_or_throw(env, chroot(path), "chroot", path);
}

static napi_value sys_unshare(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  uint32_t flags = take_uint(&call, 0);
  if (failed(&call)) return NULL;
  return done_or_throw(env, unshare((int)flags), "unshare", NULL);
}

const struct sys_function sys_mount_functions[] = {
    {"mount", sys_mount},
    {"umount", sys_umount},
    {"chroot", sys_chroot},
    {"unshare", sys_unshare},
    {NULL, NULL},
};
