/* Where a mount goes: the place is opened once, inside the root, judged by its fd, and mounted on by that fd. */
#include "mounts.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static int make_place(const struct run *run, const char *inside, u64 bits, enum make make, bool *made) {
  if (!(bits & PLACE_MAKE)) make = MAKE_NOTHING;
  return inside_make(run, inside, make, make == MAKE_FILE ? 0644 : 0755, made);
}

/* No symlink on the way, whoever put it there: a missing directory is made first and then looked at like any other. */
static int plain_place(const struct run *run, const char *inside, u64 bits, enum make make, bool *made) {
  int fd = inside_open(run, inside, O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
  if (fd != -ENOENT) return fd;
  fd = make_place(run, inside, bits, make, made);
  if (fd < 0) return fd;
  close(fd);
  return inside_open(run, inside, O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
}

static int find_place(const struct run *run, const char *inside, u64 bits, enum make make, bool *made) {
  /* The allowed files of /proc, too, are what their path says: no link may stand in for them. */
  if (bits & (PLACE_PLAIN | PLACE_ON_PROC)) return plain_place(run, inside, bits, make, made);
  if (bits & PLACE_NO_FOLLOW) {
    int fd = inside_open(run, inside, O_PATH | O_NOFOLLOW, 0);
    if (fd != -ENOENT) return fd;
  }
  return make_place(run, inside, bits, make, made);
}

int open_place(const struct run *run, const char *inside, u64 bits, enum make make, bool *made) {
  bool ignored;
  if (!made) made = &ignored;
  *made = false;
  int fd = find_place(run, inside, bits, make, made);
  if (fd == -ELOOP && bits & PLACE_PLAIN) return fail(ENOTDIR, NULL, "must be mounted on ordinary directory");
  if (fd < 0) return fail(-fd, "mount point", inside);
  struct stat status;
  struct statfs type;
  int result = fstat(fd, &status) || fstatfs(fd, &type) ? fail(errno, "mount point", inside) : 0;
  if (!result && bits & PLACE_PLAIN && !S_ISDIR(status.st_mode)) result = fail(ENOTDIR, NULL, "must be mounted on ordinary directory");
  if (!result && type.f_type == PROC_SUPER_MAGIC && !(bits & PLACE_ON_PROC))
    result = fail(EPERM, NULL, "it cannot be mounted because it is inside /proc");
  if (!result) return fd;
  close(fd);
  return result;
}

int attach(struct run *run, int mount, int place, const char *inside) {
  if (move_mount(mount, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)) return fail(errno, "mount on", inside);
  if (run->pivoted || strcmp(inside, "/")) return 0;
  int root = fcntl(mount, F_DUPFD_CLOEXEC, 3);
  if (root < 0) return fail(errno, "mount on", inside);
  close(run->root);
  run->root = root;
  return 0;
}
