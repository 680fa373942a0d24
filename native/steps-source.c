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

enum { RECURSIVE = 1, SOURCE_LINK = 2, IDMAP_RECURSIVE = 4 };

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

/* Of the mount itself, and of all below it for ridmap. The kernel's EINVAL says only that some file system cannot. */
static int map_ids(int tree, const struct arg *a) {
  static char words[4400];
  struct arg maps[5] = {a[3], a[4]};
  /* The maps of one that exists, by its path. */
  int user = a[3].text[0] == '/' ? open(a[3].text, O_RDONLY | O_CLOEXEC) : user_namespace(maps);
  if (user < 0 && a[3].text[0] == '/') return fail(errno, "open", a[3].text);
  if (user < 0) return user;
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (u64)user};
  int result = mount_setattr(tree, "", AT_EMPTY_PATH | (a[2].number & IDMAP_RECURSIVE ? AT_RECURSIVE : 0), &attr, sizeof attr) ? -errno : 0;
  close(user);
  if (!result) return 0;
  struct text text = {words, sizeof words, 0};
  text_add(&text, a[1].text);
  text_add(&text, ", file system ");
  text_add(&text, file_system_name(tree));
  return fail(-result, "id-map", words);
}

int step_open_source(struct run *run, const struct arg *a) {
  if (run->source_count == COUNT(run->sources)) return fail(E2BIG, NULL, "too many mounts with sources of the host");
  u64 bits = a[2].number;
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (bits & RECURSIVE ? AT_RECURSIVE : 0) | (bits & SOURCE_LINK ? AT_SYMLINK_NOFOLLOW : 0);
  int tree = open_tree(AT_FDCWD, a[1].text, flags);
  /* Root of a user namespace that has no mount namespace of its own may not: the child can, with the same sight of files. */
  if (tree < 0 && errno == EPERM && !a[3].length) return 0;
  if (tree < 0) return fail(errno, "mount source", a[1].text);
  int result = a[3].length ? map_ids(tree, a) : 0;
  if (result) {
    close(tree);
    return result;
  }
  run->sources[run->source_count].inside = a[0].text;
  run->sources[run->source_count].path = a[1].text;
  run->sources[run->source_count++].tree = tree;
  return 0;
}

int take_source(struct run *run, const char *inside, const char *path) {
  for (u32 i = 0; i < run->source_count; i++) {
    if (run->sources[i].tree < 0 || strcmp(run->sources[i].inside, inside) || strcmp(run->sources[i].path, path)) continue;
    int tree = run->sources[i].tree;
    run->sources[i].tree = -1;
    return tree;
  }
  return -1;
}
