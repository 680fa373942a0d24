/* stat, lstat, ownerOf, fstat, fsType. */
#include "host.h"

#include <sys/stat.h>
#include <sys/vfs.h>

static const char *kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR: return "dir";
    case S_IFLNK: return "symlink";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "socket";
    case S_IFCHR: return "char";
    case S_IFBLK: return "block";
    default: return "file";
  }
}

static JSValue make_stat(JSContext *ctx, const struct stat *found) {
  JSValue object = JS_NewObject(ctx);
  set_member(ctx, object, "kind", JS_NewString(ctx, kind_of(found->st_mode)));
  set_member(ctx, object, "mode", JS_NewInt64(ctx, found->st_mode));
  set_member(ctx, object, "uid", JS_NewInt64(ctx, found->st_uid));
  set_member(ctx, object, "gid", JS_NewInt64(ctx, found->st_gid));
  set_member(ctx, object, "dev", JS_NewInt64(ctx, (int64_t)found->st_dev));
  set_member(ctx, object, "ino", JS_NewInt64(ctx, (int64_t)found->st_ino));
  set_member(ctx, object, "rdev", JS_NewInt64(ctx, (int64_t)found->st_rdev));
  set_member(ctx, object, "size", JS_NewInt64(ctx, found->st_size));
  return object;
}

HOST_FUNCTION(host_lstat) {
  UNUSED_SELF;
  struct path path;
  struct stat found;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  return lstat(path.text, &found) != 0 ? throw_errno(ctx, errno, "lstat", path.text) : make_stat(ctx, &found);
}

HOST_FUNCTION(host_owner_of) {
  UNUSED_SELF;
  struct path path;
  struct stat found;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  return lstat(path.text, &found) != 0 ? throw_errno(ctx, errno, "lstat", path.text) : JS_NewInt64(ctx, found.st_uid);
}

HOST_FUNCTION(host_stat) {
  UNUSED_SELF;
  struct path path;
  struct stat found;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  return stat(path.text, &found) != 0 ? throw_errno(ctx, errno, "stat", path.text) : make_stat(ctx, &found);
}

HOST_FUNCTION(host_fstat) {
  UNUSED_SELF;
  int fd;
  struct stat found;
  if (!take_int(ctx, argv[0], &fd)) return JS_EXCEPTION;
  return fstat(fd, &found) != 0 ? throw_errno(ctx, errno, "fstat", NULL) : make_stat(ctx, &found);
}

HOST_FUNCTION(host_fs_type) {
  UNUSED_SELF;
  struct path path;
  struct statfs found;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  if (statfs(path.text, &found) != 0) return throw_errno(ctx, errno, "statfs", path.text);
  return JS_NewInt64(ctx, (uint32_t)found.f_type);
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("lstat", 1, host_lstat),
    JS_CFUNC_DEF("ownerOf", 1, host_owner_of),
    JS_CFUNC_DEF("stat", 1, host_stat),
    JS_CFUNC_DEF("fstat", 1, host_fstat),
    JS_CFUNC_DEF("fsType", 1, host_fs_type),
};
HOST_TABLE(host_stat_table, entries);
