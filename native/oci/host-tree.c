/* Names: rename, unlink, mkdir, links, directories, the working directory. */
#include "host.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CGROUPS_MOST = 1000000 };

HOST_FUNCTION(host_rename) {
  UNUSED_SELF;
  struct path from, to;
  if (!take_path(ctx, argv[0], &from) || !take_path(ctx, argv[1], &to)) return JS_EXCEPTION;
  return done_or_throw(ctx, rename(from.text, to.text), "rename", from.text);
}

HOST_FUNCTION(host_unlink) {
  UNUSED_SELF;
  struct path path;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  return done_or_throw(ctx, unlink(path.text), "unlink", path.text);
}

HOST_FUNCTION(host_unmount) {
  UNUSED_SELF;
  struct path path;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  return done_or_throw(ctx, umount2(path.text, MNT_DETACH | UMOUNT_NOFOLLOW), "umount2", path.text);
}

HOST_FUNCTION(host_rmdir) {
  UNUSED_SELF;
  struct path path;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  return done_or_throw(ctx, rmdir(path.text), "rmdir", path.text);
}

/* The first directory in `dir` that cannot be removed as it is; those before it are. 0: none is left. */
static int remove_entries(int dir, char stuck[256]) {
  int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = copy < 0 ? NULL : fdopendir(copy);
  if (entries == NULL) return -1;
  struct dirent *entry;
  int found = 0;
  while (!found && (entry = readdir(entries)) != NULL) {
    if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (unlinkat(dir, entry->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT) continue;
    snprintf(stuck, 256, "%s", entry->d_name);
    found = 1;
  }
  closedir(entries);
  return found;
}

/* `dir` becomes the place from where it goes on. A container makes its cgroups as deep as it likes, deeper than a path is
 * long: down and up by fd. cgroupfs moves no directory to another parent, so that `..` is where we came from. */
static int step_into(int *dir, const char *name) {
  int next = openat(*dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (next < 0) return -1;
  close(*dir);
  *dir = next;
  return 0;
}

static int remove_below(int *dir) {
  char stuck[256];
  struct stat left = {0}, found;
  int64_t depth = 0;
  for (int turns = 0; turns < CGROUPS_MOST; turns++) {
    int result = remove_entries(*dir, stuck);
    if (result < 0 || (result == 0 && depth == 0)) return result;
    if (result == 0) {
      if (fstat(*dir, &left) != 0 || step_into(dir, "..") != 0) return -1;
      depth--;
      continue;
    }
    /* Nothing is below it any more: processes are in it. */
    if (fstatat(*dir, stuck, &found, AT_SYMLINK_NOFOLLOW) == 0 && found.st_ino == left.st_ino) return errno = EBUSY, -1;
    if (step_into(dir, stuck) != 0) return -1;
    depth++;
  }
  return errno = EBUSY, -1;
}

HOST_FUNCTION(host_remove_cgroup) {
  UNUSED_SELF;
  struct path path;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  if (rmdir(path.text) == 0) return JS_UNDEFINED;
  if (errno != EBUSY && errno != ENOTEMPTY) return throw_errno(ctx, errno, "rmdir", path.text);
  int dir = open(path.text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int result = dir < 0 ? -1 : remove_below(&dir), error = errno;
  if (dir >= 0) close(dir);
  errno = error;
  return done_or_throw(ctx, result != 0 ? result : rmdir(path.text), "rmdir", path.text);
}

HOST_FUNCTION(host_mkdir) {
  UNUSED_SELF;
  struct path path;
  int mode;
  if (!take_path(ctx, argv[0], &path) || !take_int(ctx, argv[1], &mode)) return JS_EXCEPTION;
  return done_or_throw(ctx, mkdir(path.text, (mode_t)mode), "mkdir", path.text);
}

HOST_FUNCTION(host_mkfifo) {
  UNUSED_SELF;
  struct path path;
  int mode;
  if (!take_path(ctx, argv[0], &path) || !take_int(ctx, argv[1], &mode)) return JS_EXCEPTION;
  return done_or_throw(ctx, mkfifo(path.text, (mode_t)mode), "mkfifo", path.text);
}

HOST_FUNCTION(host_symlink) {
  UNUSED_SELF;
  struct path target, path;
  if (!take_path(ctx, argv[0], &target) || !take_path(ctx, argv[1], &path)) return JS_EXCEPTION;
  return done_or_throw(ctx, symlink(target.text, path.text), "symlink", path.text);
}

HOST_FUNCTION(host_readlink) {
  UNUSED_SELF;
  struct path path, target;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  ssize_t length = readlink(path.text, target.text, sizeof target.text);
  if (length < 0) return throw_errno(ctx, errno, "readlink", path.text);
  return JS_NewStringLen(ctx, target.text, (size_t)length);
}

HOST_FUNCTION(host_readdir) {
  UNUSED_SELF;
  struct path path;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  int fd = open(path.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (dir == NULL) return throw_errno(ctx, errno, "readdir", path.text);
  JSValue names = JS_NewArray(ctx);
  struct dirent *entry;
  errno = 0;
  for (uint32_t count = 0; (entry = readdir(dir)) != NULL; errno = 0) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    JS_DefinePropertyValueUint32(ctx, names, count++, JS_NewString(ctx, entry->d_name), JS_PROP_C_W_E);
  }
  int error = errno;
  closedir(dir);
  if (error == 0) return names;
  JS_FreeValue(ctx, names);
  return throw_errno(ctx, error, "readdir", path.text);
}

HOST_FUNCTION(host_access) {
  UNUSED_SELF;
  struct path path;
  int mode;
  if (!take_path(ctx, argv[0], &path) || !take_int(ctx, argv[1], &mode)) return JS_EXCEPTION;
  return JS_NewBool(ctx, access(path.text, mode) == 0);
}

HOST_FUNCTION(host_realpath) {
  UNUSED_SELF;
  struct path path;
  char real[PATH_MAX];
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  return realpath(path.text, real) == NULL ? throw_errno(ctx, errno, "realpath", path.text) : JS_NewString(ctx, real);
}

HOST_FUNCTION(host_chdir) {
  UNUSED_SELF;
  struct path path;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  return done_or_throw(ctx, chdir(path.text), "chdir", path.text);
}

HOST_FUNCTION(host_cwd) {
  UNUSED_SELF, (void)argv;
  char path[PATH_MAX];
  return getcwd(path, sizeof path) == NULL ? throw_errno(ctx, errno, "getcwd", NULL) : JS_NewString(ctx, path);
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("removeCgroup", 1, host_remove_cgroup),
    JS_CFUNC_DEF("unmount", 1, host_unmount),   JS_CFUNC_DEF("rename", 2, host_rename),     JS_CFUNC_DEF("unlink", 1, host_unlink),
    JS_CFUNC_DEF("rmdir", 1, host_rmdir),       JS_CFUNC_DEF("mkdir", 2, host_mkdir),
    JS_CFUNC_DEF("mkfifo", 2, host_mkfifo),     JS_CFUNC_DEF("symlink", 2, host_symlink),
    JS_CFUNC_DEF("readlink", 1, host_readlink), JS_CFUNC_DEF("readdir", 1, host_readdir),
    JS_CFUNC_DEF("access", 2, host_access),     JS_CFUNC_DEF("realpath", 1, host_realpath),
    JS_CFUNC_DEF("chdir", 1, host_chdir),       JS_CFUNC_DEF("cwd", 0, host_cwd),
};
HOST_TABLE(host_tree_table, entries);
