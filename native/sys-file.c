/* Files: nodes, extended attributes, times, locks, renames, file systems. */
#include "sys.h"

#include <fcntl.h>
#include <linux/fsverity.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
  XATTR_NAME_BYTES = 256,
  XATTR_BYTES = 64 * 1024, /* XATTR_SIZE_MAX and XATTR_LIST_MAX */
  NANOSECONDS = 1000000000,
};

static napi_value sys_mknod(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char path[SYS_PATH_MAX];
  take_path(&call, 0, path, sizeof path);
  uint32_t mode = take_uint(&call, 1), major_number = take_uint(&call, 2), minor_number = take_uint(&call, 3);
  if (failed(&call)) return NULL;
  return done_or_throw(env, mknod(path, mode, makedev(major_number, minor_number)), "mknod", path);
}

/* Splits the kernel's NUL separated list. */
static napi_value make_names(napi_env env, const char *names, size_t length) {
  napi_value list, name;
  if (napi_create_array(env, &list) != napi_ok) return NULL;
  uint32_t index = 0;
  for (const char *end = names + length; names < end; names += strlen(names) + 1) {
    if (napi_create_string_utf8(env, names, NAPI_AUTO_LENGTH, &name) != napi_ok) return NULL;
    napi_set_element(env, list, index++, name);
  }
  return list;
}

static napi_value sys_list_xattrs(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char path[SYS_PATH_MAX], names[XATTR_BYTES];
  take_path(&call, 0, path, sizeof path);
  if (failed(&call)) return NULL;
  ssize_t length = llistxattr(path, names, sizeof names);
  /* A file system without extended attributes has none. */
  if (length < 0 && errno == EOPNOTSUPP) length = 0;
  if (length < 0) return throw_errno(env, errno, "llistxattr", path);
  return make_names(env, names, (size_t)length);
}

static napi_value sys_get_xattr(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char path[SYS_PATH_MAX], name[XATTR_NAME_BYTES], value[XATTR_BYTES];
  take_path(&call, 0, path, sizeof path);
  take_string(&call, 1, name, sizeof name);
  if (failed(&call)) return NULL;
  ssize_t length = lgetxattr(path, name, value, sizeof value);
  return length < 0 ? throw_errno(env, errno, "lgetxattr", path) : make_bytes(env, value, (size_t)length);
}

static napi_value sys_set_xattr(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char path[SYS_PATH_MAX], name[XATTR_NAME_BYTES];
  take_path(&call, 0, path, sizeof path);
  take_string(&call, 1, name, sizeof name);
  struct bytes value = take_bytes(&call, 2);
  if (failed(&call)) return NULL;
  return done_or_throw(env, lsetxattr(path, name, value.data, value.length, 0), "lsetxattr", path);
}

/* Floors, so that times before 1970 keep a nanosecond part of 0 to 999999999. */
static struct timespec make_time(int64_t nanoseconds) {
  int64_t seconds = nanoseconds / NANOSECONDS, rest = nanoseconds % NANOSECONDS;
  if (rest < 0) {
    seconds--;
    rest += NANOSECONDS;
  }
  return (struct timespec){.tv_sec = seconds, .tv_nsec = rest};
}

static napi_value sys_set_times(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char path[SYS_PATH_MAX];
  take_path(&call, 0, path, sizeof path);
  int64_t accessed = take_bigint(&call, 1), modified = take_bigint(&call, 2);
  if (failed(&call)) return NULL;
  struct timespec times[2] = {make_time(accessed), make_time(modified)};
  return done_or_throw(env, utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), "utimensat", path);
}

static napi_value sys_try_lock(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0);
  if (failed(&call)) return NULL;
  bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) return throw_errno(env, errno, "flock", NULL);
  napi_value result = NULL;
  napi_get_boolean(env, locked, &result);
  return result;
}

static napi_value sys_syncfs(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0);
  if (failed(&call)) return NULL;
  return done_or_throw(env, syncfs(fd), "syncfs", NULL);
}

/* fs-verity: the file can no more be changed, and the kernel checks what it reads of it. Reads the whole file. */
static napi_value sys_enable_verity(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0);
  if (failed(&call)) return NULL;
  struct fsverity_enable_arg arg = {.version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = 4096};
  return done_or_throw(env, ioctl(fd, FS_IOC_ENABLE_VERITY, &arg), "ioctl", NULL);
}

static napi_value sys_rename2(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char from[SYS_PATH_MAX], to[SYS_PATH_MAX];
  take_string(&call, 0, from, sizeof from);
  take_string(&call, 1, to, sizeof to);
  uint32_t flags = take_uint(&call, 2);
  if (failed(&call)) return NULL;
  return done_or_throw(env, renameat2(AT_FDCWD, from, AT_FDCWD, to, flags), "renameat2", to);
}

static napi_value sys_statfs(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char path[SYS_PATH_MAX];
  take_string(&call, 0, path, sizeof path);
  if (failed(&call)) return NULL;
  struct statfs facts;
  if (statfs(path, &facts) != 0) return throw_errno(env, errno, "statfs", path);
  napi_value result;
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  uint64_t block = (uint64_t)facts.f_bsize;
  set_field(env, result, "type", make_int(env, (int64_t)(uint32_t)facts.f_type));
  set_field(env, result, "totalBytes", make_bigint(env, (uint64_t)facts.f_blocks * block));
  set_field(env, result, "freeBytes", make_bigint(env, (uint64_t)facts.f_bavail * block));
  return result;
}

const struct sys_function sys_file_functions[] = {
    {"mknod", sys_mknod},
    {"listXattrs", sys_list_xattrs},
    {"getXattr", sys_get_xattr},
    {"setXattr", sys_set_xattr},
    {"setTimes", sys_set_times},
    {"tryLock", sys_try_lock},
    {"syncfs", sys_syncfs},
    {"enableVerity", sys_enable_verity},
    {"rename2", sys_rename2},
    {"statfs", sys_statfs},
    {NULL, NULL},
};
