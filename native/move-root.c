/* The way into the container's root where pivot_root(2) is refused: on the initial ramdisk, which cannot be unmounted. The
 * new root is moved over "/", and chroot makes it what "/" means. The old root stays mounted below, out of sight. */
#include "mounts.h"
#include "steps.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

/* What a process that breaks out of a chroot must not find: the host's whole /proc and /sys, to mount which anew the
 * kernel asks for one that is in sight. One that cannot be unmounted (locked by a user namespace) is covered. */
static int hide(const char *path) {
  if (mount(NULL, path, NULL, MS_SLAVE | MS_REC, NULL)) return fail(errno, "propagation of", path);
  if (!umount2(path, MNT_DETACH)) return 0;
  if (errno != EINVAL && errno != EPERM) return fail(errno, "unmount", path);
  return mount("tmpfs", path, "tmpfs", 0, NULL) ? fail(errno, "cover", path) : 0;
}

/* Octal escapes of mountinfo, in place. */
static void unescape(char *text) {
  char *to = text;
  for (char *from = text; *from; from++) {
    if (*from == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
      *to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
      from += 3;
    } else {
      *to++ = *from;
    }
  }
  *to = 0;
}

/* "36 35 98:0 /root /point options - fstype source options": the point, when it is a whole proc or sysfs outside `root`. */
static const char *full_mount(char *line, const char *root) {
  char *dash = strstr(line, " - ");
  if (!dash || (strncmp(dash + 3, "proc ", 5) && strncmp(dash + 3, "sysfs ", 6))) return NULL;
  char *field = line;
  for (int i = 0; i < 3; i++) {
    if (!(field = strchr(field, ' '))) return NULL;
    field++;
  }
  if (strncmp(field, "/ ", 2)) return NULL;
  char *point = field + 2, *end = strchr(point, ' ');
  if (!end) return NULL;
  *end = 0;
  unescape(point);
  size_t length = strlen(root);
  return !strncmp(point, root, length) && (!point[length] || point[length] == '/') ? NULL : point;
}

static int hide_full_mounts(const char *root) {
  char line[8192];
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  if (!mounts) return fail(errno, "open", "/proc/self/mountinfo");
  int result = 0;
  while (!result && fgets(line, sizeof line, mounts)) {
    const char *point = full_mount(line, root);
    if (point) result = hide(point);
  }
  fclose(mounts);
  return result;
}

int move_root(struct run *run) {
  char name[32], path[PATH_MAX];
  struct text text = {name, sizeof name, 0};
  text_add(&text, "/proc/self/fd/");
  text_add_number(&text, (u64)run->root);
  ssize_t length = readlink(name, path, sizeof path - 1);
  if (length < 0) return fail(errno, "read the path of", "the new root");
  path[length] = 0;
  int result = hide_full_mounts(path);
  if (result) return result;
  if (fchdir(run->root)) return fail(errno, "enter the new root", NULL);
  if (move_mount(run->root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH)) return fail(errno, "move the new root to", "/");
  if (chroot(".")) return fail(errno, "chroot", NULL);
  if (chdir("/")) return fail(errno, "enter", "/");
  close_fd(&run->root);
  run->pivoted = true;
  return 0;
}
