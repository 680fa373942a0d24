/* Mounts that the monitor takes before the child exists, with the rights of the host: sources behind directories that are
 * closed to the container's root, and id-mapped mounts. They are detached; the child inherits the fds. */
#include "namespaces.h"
#include "steps.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECURSIVE = 1, SOURCE_LINK = 2, IDMAP_RECURSIVE = 4, MAPS_LATER = 8 };

/* A user namespace with these maps: made by a child that does nothing but be in it. */
static int user_namespace(const struct arg *maps) {
  char path[48];
  int gate[2];
  if (pipe2(gate, O_CLOEXEC)) return fail(errno, "pipe", NULL);
  long pid = clone_child(CLONE_NEWUSER, NULL, -1);
  if (!pid) {
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(gate[1]);
    while (read(gate[0], &byte, 1) < 0 && errno == EINTR) {}
    _exit(0);
  }
  close(gate[0]);
  if (pid < 0) {
    close(gate[1]);
    return fail((int)-pid, "clone", "user namespace");
  }
  struct text text = {path, sizeof path, 0};
  text_add(&text, "/proc/");
  text_add_number(&text, (u64)pid);
  text_add(&text, "/ns/user");
  int fd = write_id_maps((pid_t)pid, maps);
  if (!fd && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) fd = fail(errno, "open", "user namespace");
  close(gate[1]);
  while (waitpid((pid_t)pid, NULL, 0) < 0 && errno == EINTR) {}
  return fd;
}

static const char *file_system_name(int fd) {
  static const struct {
    long magic;
    const char *name;
  } known[] = {
      {EXT4_SUPER_MAGIC, "ext4"},       {XFS_SUPER_MAGIC, "xfs"},       {BTRFS_SUPER_MAGIC, "btrfs"},   {TMPFS_MAGIC, "tmpfs"},
      {OVERLAYFS_SUPER_MAGIC, "overlay"}, {NFS_SUPER_MAGIC, "nfs"},     {FUSE_SUPER_MAGIC, "fuse"},     {V9FS_MAGIC, "9p"},
      {PROC_SUPER_MAGIC, "proc"},       {SYSFS_MAGIC, "sysfs"},         {MSDOS_SUPER_MAGIC, "vfat"},    {SQUASHFS_MAGIC, "squashfs"},
      {CGROUP_SUPER_MAGIC, "cgroup"},   {CGROUP2_SUPER_MAGIC, "cgroup2"}, {DEVPTS_SUPER_MAGIC, "devpts"}, {RAMFS_MAGIC, "ramfs"},
      {F2FS_SUPER_MAGIC, "f2fs"},       {CEPH_SUPER_MAGIC, "ceph"},     {0xff534d42, "cifs"},     {0x42494e4d, "binfmt_misc"},
  };
  struct statfs status;
  if (fstatfs(fd, &status)) return "unknown";
  for (size_t i = 0; i < COUNT(known); i++)
    if ((long)status.f_type == known[i].magic) return known[i].name;
  return "unknown";
}

/* That of a path, or a new one. */
static int user_namespace_of(const struct arg *a) {
  struct arg maps[5] = {a[3], a[4]};
  if (a[3].text[0] != '/') return user_namespace(maps);
  int user = open(a[3].text, O_RDONLY | O_CLOEXEC);
  return user < 0 ? fail(errno, "open", a[3].text) : user;
}

/* Of the mount itself, and of all below it for ridmap. The kernel's EINVAL says only that some file system cannot. */
static int map_ids(int tree, int user, bool below, const char *path) {
  static char words[4400];
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (u64)user};
  if (!mount_setattr(tree, "", AT_EMPTY_PATH | (below ? AT_RECURSIVE : 0), &attr, sizeof attr)) return 0;
  int error = errno;
  struct text text = {words, sizeof words, 0};
  text_add(&text, path);
  text_add(&text, ", file system ");
  text_add(&text, file_system_name(tree));
  return fail(error, "id-map", words);
}

static void keep_source(struct run *run, const struct arg *a, int fd) {
  u64 bits = a[2].number;
  run->sources[run->source_count].inside = a[0].text;
  run->sources[run->source_count].path = a[1].text;
  run->sources[run->source_count].maps = bits & MAPS_LATER;
  run->sources[run->source_count].below = bits & IDMAP_RECURSIVE;
  run->sources[run->source_count++].tree = fd;
}

int step_open_source(struct run *run, const struct arg *a) {
  if (run->source_count == COUNT(run->sources)) return fail(E2BIG, NULL, "too many mounts with sources of the host");
  u64 bits = a[2].number;
  int user = a[3].length ? user_namespace_of(a) : -1;
  if (a[3].length && user < 0) return user;
  if (user >= 0 && bits & MAPS_LATER) {
    keep_source(run, a, user);
    return 0;
  }
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (bits & RECURSIVE ? AT_RECURSIVE : 0) | (bits & SOURCE_LINK ? AT_SYMLINK_NOFOLLOW : 0);
  int tree = open_tree(AT_FDCWD, a[1].text, flags);
  int result = tree < 0 ? -errno : 0;
  /* Root of a user namespace that has no mount namespace of its own may not: the child can, with the same sight of files. */
  if (result == -EPERM && user < 0) return 0;
  if (result) result = fail(-result, "mount source", a[1].text);
  else if (user >= 0) result = map_ids(tree, user, bits & IDMAP_RECURSIVE, a[1].text);
  close_fd(&user);
  if (result) {
    close_fd(&tree);
    return result;
  }
  keep_source(run, a, tree);
  return 0;
}

static int find_source(struct run *run, const char *inside, const char *path, bool maps) {
  for (u32 i = 0; i < run->source_count; i++)
    if (run->sources[i].tree >= 0 && run->sources[i].maps == maps && !strcmp(run->sources[i].inside, inside) && !strcmp(run->sources[i].path, path))
      return (int)i;
  return -1;
}

int take_source(struct run *run, const char *inside, const char *path) {
  int i = find_source(run, inside, path, false);
  if (i < 0) return -1;
  int tree = run->sources[i].tree;
  run->sources[i].tree = -1;
  return tree;
}

int map_source(struct run *run, const char *inside, const char *path, int tree) {
  int i = find_source(run, inside, path, true);
  if (i < 0) return 0;
  int result = map_ids(tree, run->sources[i].tree, run->sources[i].below, path);
  close_fd(&run->sources[i].tree);
  return result;
}
