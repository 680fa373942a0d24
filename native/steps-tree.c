/* Nodes, links and directories made inside the new root. Setup runs with umask 0, so modes come out exact. */
#include "mounts.h"
#include "steps.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Where mknod is refused (user namespaces, some file systems): the host's node of the same path, if it is that device. */
static int bind_host_node(int parent, const char *name, const char *path, const struct stat *wanted) {
  int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
  if (tree < 0) return -errno;
  struct stat status;
  int result = fstat(tree, &status) ? -errno : 0;
  if (!result && (status.st_rdev != wanted->st_rdev || (status.st_mode & S_IFMT) != (wanted->st_mode & S_IFMT))) result = -ENODEV;
  int target = -1;
  if (!result && (target = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0644)) < 0) result = -errno;
  if (!result && move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)) result = -errno;
  close_fd(&target);
  close(tree);
  return result;
}

static int make_node(int parent, const char *name, const char *path, const struct stat *wanted) {
  struct stat present;
  int result = mknodat(parent, name, wanted->st_mode, wanted->st_rdev) ? -errno : 0;
  if (result == -EEXIST) {
    if (fstatat(parent, name, &present, AT_SYMLINK_NOFOLLOW)) return -errno;
    /* Left as it is, with its owner and mode: where its directory is bound, it is the host's. */
    if ((present.st_mode & S_IFMT) == (wanted->st_mode & S_IFMT) && present.st_rdev == wanted->st_rdev) return 0;
    if (unlinkat(parent, name, 0)) return -errno;
    result = mknodat(parent, name, wanted->st_mode, wanted->st_rdev) ? -errno : 0;
  }
  if (result == -EPERM || result == -EACCES) return bind_host_node(parent, name, path, wanted);
  if (!result && fchownat(parent, name, wanted->st_uid, wanted->st_gid, AT_SYMLINK_NOFOLLOW)) result = -errno;
  return result;
}

int step_make_node(struct run *run, const struct arg *a) {
  char name[256];
  struct stat wanted = {
      .st_mode = (mode_t)a[1].number,
      .st_rdev = makedev((unsigned)a[2].number, (unsigned)a[3].number),
      .st_uid = (uid_t)a[4].number,
      .st_gid = (gid_t)a[5].number,
  };
  int parent = inside_parent(run, a[0].text, name);
  if (parent < 0) return fail(-parent, "make node", a[0].text);
  int result = make_node(parent, name, a[0].text, &wanted);
  close(parent);
  return result ? fail(-result, "make node", a[0].text) : 0;
}

int inside_symlink(struct run *run, const char *target, size_t length, const char *path, bool replace) {
  char name[256], present[4096];
  int parent = inside_parent(run, path, name);
  if (parent < 0) return parent;
  int result = symlinkat(target, parent, name) ? -errno : 0;
  if (result == -EEXIST) {
    ssize_t n = readlinkat(parent, name, present, sizeof present);
    if (n == (ssize_t)length && !memcmp(present, target, length)) result = 0;
    else if (replace) result = unlinkat(parent, name, 0) || symlinkat(target, parent, name) ? -errno : 0;
  }
  close(parent);
  return result;
}

int step_symlink(struct run *run, const struct arg *a) {
  int result = inside_symlink(run, a[0].text, a[0].length, a[1].text, a[2].number);
  return result ? fail(-result, "make symlink", a[1].text) : 0;
}

int step_make_inside_dir(struct run *run, const struct arg *a) {
  bool made;
  int fd = inside_make(run, a[0].text, MAKE_DIRECTORY, (mode_t)a[1].number, &made);
  if (fd < 0) return fail(-fd, "make directory", a[0].text);
  struct stat status;
  int result = fstat(fd, &status) ? -errno : S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
  if (!result && made && fchownat(fd, "", (uid_t)a[2].number, (gid_t)a[3].number, AT_EMPTY_PATH)) result = -errno;
  close(fd);
  return result ? fail(-result, "make directory", a[0].text) : 0;
}
