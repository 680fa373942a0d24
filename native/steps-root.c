/* From here on the root is the container's: the change of root, and what is hidden or made read-only below it. */
#include "mounts.h"
#include "steps.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* pivot_root(2), NOTES: with "." twice the old root is stacked on the new one and needs no directory of its own. */
/* In a mount namespace that is not the container's own nothing may be moved or detached. */
static int chroot_only(struct run *run) {
  if (fchdir(run->root)) return fail(errno, "enter the new root", NULL);
  if (chroot(".")) return fail(errno, "chroot", NULL);
  close_fd(&run->root);
  run->pivoted = true;
  return 0;
}

int step_unmount_tree(struct run *run, const struct arg *a) {
  (void)run;
  return umount2(a[0].text, MNT_DETACH | UMOUNT_NOFOLLOW) ? fail(errno, "unmount", a[0].text) : 0;
}

int step_pivot_root(struct run *run, const struct arg *a) {
  if (run->root < 0) return fail(ENOTCONN, "pivot-root without root", NULL);
  /* wait-start reopens its fifo through a /proc that can be trusted. */
  if (run->fifo >= 0 && (run->proc = open_own_proc()) < 0) return fail(errno, "open", "/proc");
  if (a[0].number == 1) return move_root(run);
  if (a[0].number == 2) return chroot_only(run);
  int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (old < 0) return fail(errno, "open", "/");
  if (fchdir(run->root)) return fail(errno, "enter the new root", NULL);
  if (syscall(SYS_pivot_root, ".", ".")) return fail(errno, "pivot_root", NULL);
  if (fchdir(old)) return fail(errno, "enter the old root", NULL);
  /* Whatever the plan said about propagation: the unmount must never reach the host. */
  if (mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL)) return fail(errno, "propagation of", "the old root");
  if (umount2(".", MNT_DETACH)) return fail(errno, "unmount", "the old root");
  if (chdir("/")) return fail(errno, "enter", "/");
  close(old);
  close_fd(&run->root);
  run->pivoted = true;
  return 0;
}

/* ---- mask ---- */

/* The container's /dev/null, proved by its device number on the very fd that is bound (CVE-2025-31133: a symlink or
 * another file in its place would be bound instead). */
static int clone_null_device(struct run *run) {
  int fd = inside_open(run, "/dev/null", O_PATH | O_NOFOLLOW, 0);
  if (fd < 0) return fd;
  struct stat status;
  int tree = -ENODEV;
  if (!fstat(fd, &status) && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3)) {
    tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) tree = -errno;
  }
  close(fd);
  return tree;
}

int new_empty_directory(void) {
  int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0) return -errno;
  fsconfig(context, FSCONFIG_SET_STRING, "mode", "755", 0);
  int mount = -1;
  if (!fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
    mount = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  int result = mount < 0 ? -errno : mount;
  close(context);
  return result;
}

/* One tmpfs serves all masked directories: the first use mounts it, the others bind it. */
static int empty_directory(struct run *run) {
  if (run->null_dir < 0) return run->null_dir = new_empty_directory();
  int tree = open_tree(run->null_dir, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  return tree < 0 ? -errno : tree;
}

int step_mask(struct run *run, const struct arg *a) {
  /* Whoever reads the path later follows a symlink at its end: its target is what is masked. */
  int target = inside_open(run, a[0].text, O_PATH, 0);
  if (target == -ENOENT || target == -ENOTDIR) return 0;
  if (target < 0) return fail(-target, "mask", a[0].text);
  struct stat status;
  int result = fstat(target, &status) ? -errno : 0;
  int cover = result ? result : S_ISDIR(status.st_mode) ? empty_directory(run) : clone_null_device(run);
  if (cover < 0) result = cover;
  if (!result && move_mount(cover, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)) result = -errno;
  if (cover >= 0 && cover != run->null_dir) close(cover);
  close(target);
  return result ? fail(-result, "mask", a[0].text) : 0;
}

int step_read_only(struct run *run, const struct arg *a) {
  int target = inside_open(run, a[0].text, O_PATH, 0);
  if (target == -ENOENT || target == -ENOTDIR) return 0;
  if (target < 0) return fail(-target, "make read-only", a[0].text);
  /* A clone keeps nosuid, nodev and noexec of what it is cloned from. */
  int tree = open_tree(target, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  int result = tree < 0 ? -errno : set_attributes(tree, MS_RDONLY, true);
  if (!result && move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)) result = -errno;
  close_fd(&tree);
  close(target);
  return result ? fail(-result, "make read-only", a[0].text) : 0;
}

int step_remount_root(struct run *run, const struct arg *a) {
  int root = inside_open(run, "/", O_PATH | O_DIRECTORY, 0);
  int result = root < 0 ? root : set_attributes(root, a[0].number, false);
  close_fd(&root);
  return result ? fail(-result, "remount", "/") : 0;
}

/* Only now: pivot_root(2) refuses a shared root, and what was mounted before would have reached the host. */
int step_root_propagation(struct run *run, const struct arg *a) {
  int root = inside_open(run, "/", O_PATH | O_DIRECTORY, 0);
  int result = root < 0 ? root : set_propagation(root, a[0].number);
  close_fd(&root);
  return result ? fail(-result, "propagation of", "/") : 0;
}
