/* tmpcopyup: what the image holds below a place is copied into the file system that will cover it. Everything goes by
 * the fd of the directory it is in and follows no link, so that no name leads elsewhere while it is copied. Bounded in
 * number and depth; in bytes by the size of the file system. What is mounted below is not the image's and stays out. */
#include "mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { MAX_ENTRIES = 200000, MAX_DEPTH = 64 };

static int copy_directory(int from, int to, u32 *left, int depth);

/* Extended attributes that the target cannot have (trusted ones in a user namespace) are left out. */
static int copy_xattrs(int from, int to) {
  char names[4096], value[4096];
  ssize_t length = flistxattr(from, names, sizeof names);
  if (length < 0) return errno == ENOTSUP ? 0 : -errno;
  for (char *name = names; name < names + length; name += strlen(name) + 1) {
    ssize_t n = fgetxattr(from, name, value, sizeof value);
    if (n < 0 && errno != ENODATA && errno != ENOTSUP) return -errno;
    if (n >= 0 && fsetxattr(to, name, value, (size_t)n, 0) && errno != ENOTSUP && errno != EPERM && errno != EINVAL) return -errno;
  }
  return 0;
}

/* Owner first: chown takes the set-user-id bit and file capabilities away. */
static int copy_looks(int from, int to, const struct stat *status) {
  if (fchown(to, status->st_uid, status->st_gid) || fchmod(to, status->st_mode & 07777)) return -errno;
  int result = copy_xattrs(from, to);
  const struct timespec times[2] = {status->st_atim, status->st_mtim};
  return result ? result : futimens(to, times) ? -errno : 0;
}

static int copy_bytes(int from, int to) {
  for (;;) {
    ssize_t n = sendfile(to, from, NULL, 1 << 20);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n ? -errno : 0;
  }
}

static int copy_file(int from, int to, const char *name, const struct stat *status) {
  struct stat opened;
  int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (source < 0) return -errno;
  int result = fstat(source, &opened) ? -errno : S_ISREG(opened.st_mode) ? 0 : -EINVAL;
  int target = result ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (!result && target < 0) result = -errno;
  if (!result) result = copy_bytes(source, target);
  if (!result) result = copy_looks(source, target, status);
  close_fd(&target);
  close(source);
  return result;
}

static int copy_subdirectory(int from, int to, const char *name, const struct stat *status, u32 *left, int depth) {
  if (mkdirat(to, name, 0700)) return -errno;
  int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (source < 0) return -errno;
  int target = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int mounted = is_mount_root(source);
  int result = target < 0 ? -errno : mounted < 0 ? mounted : 0;
  if (!result && !mounted) result = copy_directory(source, target, left, depth + 1);
  if (!result) result = copy_looks(source, target, status);
  close_fd(&target);
  close(source);
  return result;
}

static int copy_link(int from, int to, const char *name, const struct stat *status) {
  char target[4096];
  ssize_t n = readlinkat(from, name, target, sizeof target - 1);
  if (n < 0) return -errno;
  target[n] = 0;
  if (symlinkat(target, to, name)) return -errno;
  return fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

static int copy_node(int to, const char *name, const struct stat *status) {
  if (mknodat(to, name, status->st_mode, status->st_rdev)) return errno == EPERM ? 0 : -errno; /* in a user namespace */
  return fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

static int copy_entry(int from, int to, const char *name, u32 *left, int depth) {
  struct stat status;
  if (!*left) return -E2BIG;
  --*left;
  if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW)) return -errno;
  if (S_ISDIR(status.st_mode)) return copy_subdirectory(from, to, name, &status, left, depth);
  if (S_ISREG(status.st_mode)) return copy_file(from, to, name, &status);
  if (S_ISLNK(status.st_mode)) return copy_link(from, to, name, &status);
  return copy_node(to, name, &status);
}

static int copy_directory(int from, int to, u32 *left, int depth) {
  _Alignas(struct dirent64) char buffer[2048];
  if (depth > MAX_DEPTH) return -E2BIG;
  for (;;) {
    long length = syscall(SYS_getdents64, from, buffer, sizeof buffer);
    if (length <= 0) return length ? -errno : 0;
    for (long at = 0; at < length;) {
      struct dirent64 *entry = (struct dirent64 *)(void *)(buffer + at);
      at += entry->d_reclen;
      if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
      int result = copy_entry(from, to, entry->d_name, left, depth);
      if (result) return result;
    }
  }
}

int copy_up(int from, int to, const char *inside) {
  u32 left = MAX_ENTRIES;
  struct stat status;
  int source = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int result = source < 0 || fstat(source, &status) ? -errno : copy_directory(source, to, &left, 0);
  if (!result && fchownat(to, "", status.st_uid, status.st_gid, AT_EMPTY_PATH)) result = -errno;
  close_fd(&source);
  return result ? fail(-result, "copy up what is in", inside) : 0;
}
