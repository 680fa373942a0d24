#include "inside.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINKS = 40 };

int inside_open(const struct run *run, const char *path, u64 flags, u64 resolve) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS | resolve};
  int dir = AT_FDCWD;
  if (!run->pivoted) {
    if (run->root < 0) return -ENOTCONN; /* the plan has no `root` before this step */
    dir = run->root;
    how.resolve |= RESOLVE_IN_ROOT;
  }
  int fd;
  /* EAGAIN: a rename elsewhere raced with a `..` of this path. */
  int tries = 64;
  do fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || (errno == EAGAIN && --tries)));
  return fd < 0 ? -errno : fd;
}

/* The component at `name` of `path` is a symlink that leads nowhere: puts its target in its place, relative to the
 * directory it is in, or to the root. Lengths are bounded by PATH_MAX; the number of links by the caller. */
static int substitute_link(char *path, size_t start, size_t end, int parent, const char *name) {
  char target[PATH_MAX], rest[PATH_MAX];
  ssize_t n = readlinkat(parent, name, target, sizeof target - 1);
  if (n < 0) return errno == EINVAL ? -EEXIST : -errno;
  target[n] = 0;
  size_t rest_length = strlen(path + end);
  memcpy(rest, path + end, rest_length + 1);
  if (target[0] == '/') start = 0;
  if (start + (size_t)n + rest_length + 1 > PATH_MAX) return -ENAMETOOLONG;
  memcpy(path + start, target, (size_t)n);
  memcpy(path + start + n, rest, rest_length + 1);
  return 0;
}

/* Makes `name` in `parent` (an O_PATH fd got inside the root, so this cannot lead outside). */
static int make_entry(int parent, const char *name, bool file, mode_t mode) {
  if (!file) return mkdirat(parent, name, mode) ? -errno : 0;
  int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
  if (fd < 0) return -errno;
  close(fd);
  return 0;
}

/* Opens path[0..end), whose parent is open; makes it when it is missing. */
static int open_or_make(const struct run *run, char *path, size_t end, int parent, const char *name, bool file, mode_t mode, bool *made) {
  char kept = path[end];
  path[end] = 0;
  *made = false;
  int fd = inside_open(run, path, O_PATH, 0);
  if (fd == -ENOENT) {
    int result = make_entry(parent, name, file, mode);
    *made = !result;
    fd = result && result != -EEXIST ? result : inside_open(run, path, O_PATH, 0);
  }
  path[end] = kept;
  return fd;
}

int inside_make(const struct run *run, const char *original, enum make make, mode_t mode, bool *made) {
  bool ignored;
  if (!made) made = &ignored;
  *made = false;
  int fd = inside_open(run, original, O_PATH, 0);
  if (fd != -ENOENT || make == MAKE_NOTHING) return fd;
  char path[PATH_MAX], name[256];
  if (strlen(original) >= sizeof path) return -ENAMETOOLONG;
  strcpy(path, original);
  int links = 0;
  int parent = inside_open(run, "/", O_PATH | O_DIRECTORY, 0);
  size_t at = 0;
  while (parent >= 0) {
    while (path[at] == '/') at++;
    size_t end = at + strcspn(path + at, "/");
    if (end == at) return parent;
    if (end - at >= sizeof name) break;
    memcpy(name, path + at, end - at);
    name[end - at] = 0;
    bool last = !path[end + strspn(path + end, "/")];
    fd = open_or_make(run, path, end, parent, name, last && make == MAKE_FILE, last ? mode : 0755, made);
    if (fd == -ENOENT) {
      int result = ++links > LINKS ? -ELOOP : substitute_link(path, at, end, parent, name);
      close(parent);
      if (result) return result;
      parent = inside_open(run, "/", O_PATH | O_DIRECTORY, 0);
      at = 0;
      continue;
    }
    close(parent);
    parent = fd;
    at = end;
  }
  if (parent < 0) return parent;
  close(parent);
  return -ENAMETOOLONG;
}

int inside_parent(const struct run *run, const char *path, char name[256]) {
  char directory[PATH_MAX];
  size_t end = strlen(path);
  if (end >= sizeof directory) return -ENAMETOOLONG;
  while (end && path[end - 1] == '/') end--;
  size_t start = end;
  while (start && path[start - 1] != '/') start--;
  if (end - start >= 256) return -ENAMETOOLONG;
  memcpy(name, path + start, end - start);
  name[end - start] = 0;
  if (!*name || !strcmp(name, ".") || !strcmp(name, "..")) return -EINVAL;
  memcpy(directory, path, start);
  directory[start] = 0;
  return inside_make(run, start ? directory : "/", MAKE_DIRECTORY, 0755, NULL);
}
