/* What a mount is like: its attributes and its propagation, always by fd. */
#include "mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { PROPAGATION = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE };

u64 mount_attributes(u64 ms) {
  static const struct {
    u64 ms, attribute;
  } pairs[] = {
      {MS_RDONLY, MOUNT_ATTR_RDONLY},       {MS_NOSUID, MOUNT_ATTR_NOSUID},         {MS_NODEV, MOUNT_ATTR_NODEV},
      {MS_NOEXEC, MOUNT_ATTR_NOEXEC},       {MS_NODIRATIME, MOUNT_ATTR_NODIRATIME}, {256 /* MS_NOSYMFOLLOW */, MOUNT_ATTR_NOSYMFOLLOW},
  };
  u64 attributes = 0;
  for (size_t i = 0; i < COUNT(pairs); i++)
    if (ms & pairs[i].ms) attributes |= pairs[i].attribute;
  if (ms & MS_NOATIME) return attributes | MOUNT_ATTR_NOATIME;
  if (ms & MS_STRICTATIME) return attributes | MOUNT_ATTR_STRICTATIME;
  return attributes; /* relatime is 0 */
}

int change_attributes(int fd, u64 set, u64 clear, bool recursive) {
  struct mount_attr attr = {.attr_set = set, .attr_clr = clear};
  if (!set && !clear) return 0;
  return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr) ? -errno : 0;
}

int set_attributes(int fd, u64 ms, bool recursive) {
  u64 clear = ms & (MS_NOATIME | MS_STRICTATIME | MS_RELATIME) ? MOUNT_ATTR__ATIME : 0;
  return change_attributes(fd, mount_attributes(ms), clear, recursive);
}

static int set_one_propagation(int fd, u64 kind, u64 recursive) {
  struct mount_attr attr = {.propagation = kind};
  if (!kind) return 0;
  return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr) ? -errno : 0;
}

int set_propagation(int fd, u64 ms) {
  u64 kind = ms & PROPAGATION;
  bool both = kind == (MS_SLAVE | MS_SHARED);
  int result = set_one_propagation(fd, both ? MS_SLAVE : kind, ms & MS_REC);
  return result || !both ? result : set_one_propagation(fd, MS_SHARED, ms & MS_REC);
}

int is_mount_root(int fd) {
  struct statx status;
  if (statx(fd, "", AT_EMPTY_PATH, 0, &status)) return -errno;
  return status.stx_attributes & STATX_ATTR_MOUNT_ROOT ? 1 : 0;
}
