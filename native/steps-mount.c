/* Mounts: made detached with the new mount API, then moved onto an opened fd, so that no path is looked up twice. */
#include "mounts.h"
#include "namespaces.h"
#include "steps.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The last payload byte of `mount`, beside PLACE_*. */
enum {
  MOUNT_INHERIT_MODE = 16,       /* the mode of the directory that is covered */
  MOUNT_KEEP = 32,               /* for mount-attributes */
  MOUNT_COPY_UP = 64,            /* with what the directory held */
  MOUNT_FALLBACK_READ_ONLY = 128,
};

/* The last payload byte of `bind`. */
enum { BIND_SOURCE_LINK = 1, BIND_PLACE_LINK = 2, BIND_COPY_LINK = 4, BIND_ON_PROC = 8, BIND_FROM_PROC = 16, BIND_LOCKED = 32, BIND_FROM_INSIDE = 64 };

enum { MAX_STRING = 255 }; /* fsconfig(2) takes no longer value */
/* What mount(2) is given beside its data. Propagation would make another call of it. */
enum { PLAIN_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME | 256 };

int step_mount_propagation(struct run *run, const struct arg *a) {
  (void)run;
  return mount(NULL, a[0].text, NULL, a[1].number, NULL) ? fail(errno, "propagation of", a[0].text) : 0;
}

/* ---- file system contexts ---- */

/* The kernel's own words about the last refusal, if it left any: "overlay: lowerdir is not …". */
int context_failure(int context, int err, const char *what, const char *detail) {
  static char words[256];
  ssize_t n = read(context, words, sizeof words - 1);
  if (n < 3) return fail(err, what, detail);
  words[n] = 0;
  while (n && (words[n - 1] == '\n' || words[n - 1] == ' ')) words[--n] = 0;
  return fail(err, "the kernel says:", words + 2); /* behind "e " */
}

int set_string(int context, const char *key, const char *value) {
  return fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) ? -errno : 0;
}

/* `key=value,flag,…`. A comma inside double quotes (SELinux contexts) does not end an option. */
int set_options(int context, const char *options, char *space) {
  strcpy(space, options);
  for (char *option = space; *option;) {
    char *end = option;
    for (bool quoted = false; *end && (quoted || *end != ','); end++) quoted ^= *end == '"';
    char *next = *end ? end + 1 : end;
    *end = 0;
    char *value = strchr(option, '=');
    if (value) *value++ = 0;
    int result = 0;
    if (value) result = set_string(context, option, value);
    else if (*option && fsconfig(context, FSCONFIG_SET_FLAG, option, NULL, 0)) result = -errno;
    if (result) return context_failure(context, -result, "mount option", option);
    option = next;
  }
  return 0;
}

int finish_context(int context, u64 attributes, const char *what, const char *detail) {
  if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) return context_failure(context, errno, what, detail);
  int mount = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes);
  return mount < 0 ? context_failure(context, errno, what, detail) : mount;
}

/* ---- root ---- */

/* One that the monitor has opened: it lies behind directories that may be closed to this process, so it goes over "/", which
 * stays what absolute paths begin at until pivot-root. */
static int place_root(int tree) {
  if (!move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH)) return tree;
  close(tree);
  return fail(errno, "mount the root over", "/");
}

static int open_or_bind_root(struct run *run, const struct arg *a) {
  int source = take_source(run, "", a[0].text);
  if (source >= 0) return place_root(source);
  int fd = open(a[0].text, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(errno, "root directory", a[0].text);
  int mounted = is_mount_root(fd);
  if (mounted) return mounted < 0 ? fail(-mounted, "stat", a[0].text) : fd;
  int tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0) return fail(errno, "bind the root", a[0].text);
  if (move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)) return fail(errno, "bind the root", a[0].text);
  close(fd);
  return tree;
}

int step_root(struct run *run, const struct arg *a) {
  int fd = open_or_bind_root(run, a);
  if (fd < 0) return fd;
  /* A tree that the monitor took has mounts below that are peers of the host's; in one that was bound here they are slaves. */
  int result = a[1].number & MS_SHARED ? 0 : set_propagation(fd, MS_SLAVE | MS_REC);
  if (!result) result = set_propagation(fd, a[1].number & MS_SLAVE ? MS_SLAVE : MS_PRIVATE);
  if (!result) result = set_attributes(fd, a[1].number, false);
  if (result) return fail(-result, "attributes of the root", a[0].text);
  run->root = fd;
  return 0;
}

/* Climbs from `fd` (which it closes) to the root of the mount it is in, and makes that private. */
static int make_private(int fd) {
  int mounted;
  /* A directory is at most PATH_MAX / 2 deep. */
  for (int up = 0; !(mounted = is_mount_root(fd)) && up < PATH_MAX / 2; up++) {
    int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    close(fd);
    if (parent < 0) return -error;
    fd = parent;
  }
  int result = mounted < 0 ? mounted : set_propagation(fd, MS_PRIVATE);
  close(fd);
  return result;
}

int step_private_parent(struct run *run, const struct arg *a) {
  (void)run;
  int fd = open(a[0].text, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(errno, "root directory", a[0].text);
  int mounted = is_mount_root(fd);
  int result = mounted < 0 ? mounted : 0;
  if (mounted == 1) {
    /* The mount itself, and the one it is mounted on. */
    int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    result = parent < 0 ? -errno : make_private(parent);
  }
  if (!result) result = make_private(fd);
  else close(fd);
  return result ? fail(-result, "propagation of", a[0].text) : 0;
}

/* ---- mount ---- */

static bool has_long_value(const char *options) {
  for (const char *at = options; *at;) {
    size_t length = strcspn(at, ",");
    if (length > MAX_STRING) return true;
    at += length + (at[length] == ',');
  }
  return false;
}

/* The way of mount(2), for values that fsconfig(2) cannot take. The place is named by its fd through the host's /proc. */
static int mount_by_string(const struct run *run, const struct arg *a, int place) {
  char name[64];
  struct text text = {name, sizeof name, 0};
  if (run->pivoted) return fail(E2BIG, "mount options", a[1].text);
  text_add(&text, "/proc/self/fd/");
  text_add_number(&text, (u64)place);
  return mount(a[0].text, name, a[2].text, a[3].number & PLAIN_FLAGS, a[4].text) ? fail(errno, "mount on", a[1].text) : 0;
}

static void inherit_mode(int context, int place) {
  char mode[8];
  struct stat status;
  if (fstat(place, &status)) return;
  for (int digit = 0; digit < 5; digit++) mode[digit] = (char)('0' + (status.st_mode >> (12 - 3 * digit) & 7));
  mode[5] = 0;
  mode[0] = '0'; /* the lowest bit of the file's type */
  set_string(context, "mode", mode);
}

/* A new file system, detached. *refused: its type is known and the kernel does not give it to this process. */
static int new_file_system(struct run *run, const struct arg *a, int place, bool made, bool *refused) {
  *refused = false;
  int context = fsopen(a[2].text, FSOPEN_CLOEXEC);
  if (context < 0) {
    *refused = errno == EPERM;
    return fail(errno, "file system type", a[2].text);
  }
  int result = a[0].length ? set_string(context, "source", a[0].text) : 0;
  if (result) result = context_failure(context, -result, "mount source", a[0].text);
  if (!result && a[5].number & MOUNT_INHERIT_MODE && !made) inherit_mode(context, place);
  if (!result) result = set_options(context, a[4].text, (char *)run->plan.scratch);
  int mount = result ? result : finish_context(context, mount_attributes(a[3].number), "mount on", a[1].text);
  *refused = !result && (mount == -EPERM || mount == -EBUSY || mount == -EACCES);
  close(context);
  return mount;
}

/* What the host has, or nothing where it has none, as runc does for cgroups (CVE-2023-25809). */
static int fallback_tree(const struct arg *a) {
  int tree = open_tree(AT_FDCWD, a[6].text, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0) tree = errno == ENOENT ? new_empty_directory() : -errno;
  if (tree < 0) return fail(-tree, "bind", a[6].text);
  u64 flags = a[3].number | (a[5].number & MOUNT_FALLBACK_READ_ONLY ? MS_RDONLY : 0);
  int result = set_attributes(tree, flags, true);
  if (!result) result = set_propagation(tree, MS_PRIVATE | MS_REC);
  if (!result) return tree;
  close(tree);
  return fail(-result, "attributes of", a[1].text);
}

static int keep(struct run *run, const char *inside, int mount) {
  if (run->kept_count == COUNT(run->kept)) return fail(E2BIG, NULL, "too many mounts whose attributes change later");
  run->kept[run->kept_count].inside = inside;
  run->kept[run->kept_count++].mount = mount;
  return 0;
}

int step_mount(struct run *run, const struct arg *a) {
  u64 bits = a[5].number;
  const char *inside = a[1].text;
  bool made, refused;
  if (a[4].length >= run->plan.scratch_size) return fail(E2BIG, "mount options", inside);
  int place = open_place(run, inside, bits & 15, MAKE_DIRECTORY, &made);
  if (place < 0) return place;
  if (has_long_value(a[4].text)) {
    int result = mount_by_string(run, a, place);
    close(place);
    return result;
  }
  int mount = new_file_system(run, a, place, made, &refused);
  if (refused && a[6].length) mount = fallback_tree(a);
  int result = mount < 0 ? mount : 0;
  if (!result && bits & MOUNT_COPY_UP && !made) result = copy_up(place, mount, inside);
  if (!result && (result = set_propagation(mount, a[3].number))) result = fail(-result, "propagation of", inside);
  if (!result) result = attach(run, mount, place, inside);
  if (!result && bits & MOUNT_KEEP && !(result = keep(run, inside, mount))) mount = -1;
  if (mount >= 0) close(mount);
  close(place);
  return result;
}

/* Of the mount that was made here last: by its fd, whatever its path leads to by now. */
int step_mount_attributes(struct run *run, const struct arg *a) {
  for (u32 i = run->kept_count; i--;) {
    if (strcmp(run->kept[i].inside, a[0].text)) continue;
    int result = change_attributes(run->kept[i].mount, a[1].number, a[2].number, false);
    return result ? fail(-result, "attributes of", a[0].text) : 0;
  }
  return fail(ENOENT, "no mount was kept for", a[0].text);
}

int step_remount(struct run *run, const struct arg *a) {
  if (a[4].length >= run->plan.scratch_size) return fail(E2BIG, "mount options", a[0].text);
  int place = open_place(run, a[0].text, PLACE_ON_PROC, MAKE_NOTHING, NULL);
  if (place < 0) return place;
  int result = is_mount_root(place);
  result = result == 1 ? 0 : fail(result ? -result : EINVAL, "nothing is mounted on", a[0].text);
  if (!result && a[4].length) {
    int context = fspick(place, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);
    if (context < 0) result = fail(errno, "remount", a[0].text);
    if (!result) result = set_options(context, a[4].text, (char *)run->plan.scratch);
    if (!result && fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0)) result = context_failure(context, errno, "remount", a[0].text);
    close_fd(&context);
  }
  if (!result) {
    result = change_attributes(place, a[1].number, a[2].number | a[3].number, false);
    if (result == -EPERM && a[3].number) result = change_attributes(place, a[1].number, a[2].number, false);
    if (result) result = fail(-result, "attributes of", a[0].text);
  }
  close(place);
  return result;
}

/* ---- bind ---- */

/* Flags that a mount keeps for good when it comes into a user namespace. A tree that the monitor has taken on the host is
 * not locked until it is attached there; what is asked of it is judged as if it were, as with runc's. */
enum { LOCKED = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODIRATIME };

static int judge_locked(int tree, u64 set, u64 clear) {
  struct statfs status;
  if (fstatfs(tree, &status)) return -errno;
  u64 flags = (u64)status.f_flags, has = flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
  if (flags & MS_NODIRATIME) has |= MOUNT_ATTR_NODIRATIME;
  u64 time = flags & MS_NOATIME ? MOUNT_ATTR_NOATIME : flags & 0x1000 /* ST_RELATIME */ ? MOUNT_ATTR_RELATIME : MOUNT_ATTR_STRICTATIME;
  bool changes_time = (clear & MOUNT_ATTR__ATIME) && (set & MOUNT_ATTR__ATIME) != time;
  return has & clear & LOCKED || changes_time ? -EPERM : 0;
}

/* a[8] is what nobody named: cleared, but for what is locked. */
static int dress_top(int tree, const struct arg *a, bool taken) {
  bool recursive = a[5].number;
  u64 atime = a[2].number & (MS_NOATIME | MS_STRICTATIME | MS_RELATIME) ? MOUNT_ATTR__ATIME : 0;
  u64 set = recursive ? mount_attributes(a[2].number) : a[3].number;
  u64 clear = recursive ? atime : a[4].number, unnamed = a[8].number;
  bool locked = taken && a[9].number & BIND_LOCKED;
  int result = locked ? judge_locked(tree, set, clear) : change_attributes(tree, set, clear | unnamed, false);
  if (locked ? !result : result == -EPERM && unnamed) result = change_attributes(tree, set, clear | (unnamed & MOUNT_ATTR_NOSYMFOLLOW), false);
  return result;
}

static int dress_tree(int tree, const struct arg *a, bool taken) {
  int result = dress_top(tree, a, taken);
  if (!result && a[5].number) result = change_attributes(tree, a[3].number, a[4].number, true);
  if (result) return fail(-result, "attributes of", a[1].text);
  result = set_propagation(tree, a[7].number);
  return result ? fail(-result, "propagation of", a[1].text) : 0;
}

static int place_of_bind(struct run *run, const struct arg *a, int tree) {
  enum make make = (enum make)a[6].number;
  u64 bits = (make ? PLACE_MAKE : 0) | (a[9].number & BIND_PLACE_LINK ? PLACE_NO_FOLLOW : 0) | (a[9].number & BIND_ON_PROC ? PLACE_ON_PROC : 0);
  struct stat status;
  struct statfs type;
  if (fstat(tree, &status) || fstatfs(tree, &type)) return fail(errno, "stat", a[0].text);
  if (a[9].number & BIND_FROM_PROC && type.f_type != PROC_SUPER_MAGIC) return fail(EPERM, NULL, "it cannot be mounted because it is not of type proc");
  if (make > MAKE_FILE) make = S_ISDIR(status.st_mode) ? MAKE_DIRECTORY : MAKE_FILE;
  return open_place(run, a[1].text, bits, make, NULL);
}

/* 1: the source is a symlink, which now is inside, too. 0: it is none. */
static int copy_source_link(struct run *run, const struct arg *a) {
  char target[PATH_MAX];
  ssize_t n = readlink(a[0].text, target, sizeof target - 1);
  if (n < 0) return errno == EINVAL ? 0 : fail(errno, "bind source", a[0].text);
  target[n] = 0;
  int result = inside_symlink(run, target, (size_t)n, a[1].text, false);
  return result ? fail(-result, "copy the symlink", a[0].text) : 1;
}

static int clone_source(struct run *run, const struct arg *a) {
  bool link = a[9].number & BIND_SOURCE_LINK;
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (a[5].number || a[2].number & MS_REC ? AT_RECURSIVE : 0);
  int tree;
  if (a[9].number & BIND_FROM_INSIDE) {
    int fd = inside_open(run, a[0].text, O_PATH | (link ? O_NOFOLLOW : 0), 0);
    if (fd < 0) return fd;
    tree = open_tree(fd, "", flags | AT_EMPTY_PATH);
    int error = errno;
    close(fd);
    errno = error;
  } else tree = open_tree(AT_FDCWD, a[0].text, flags | (link ? AT_SYMLINK_NOFOLLOW : 0));
  return tree < 0 ? -errno : tree;
}

int step_bind(struct run *run, const struct arg *a) {
  if (a[9].number & BIND_COPY_LINK) {
    int copied = copy_source_link(run, a);
    if (copied) return copied < 0 ? copied : 0;
  }
  int tree = take_source(run, a[1].text, a[0].text);
  bool taken = tree >= 0;
  if (!taken) tree = clone_source(run, a);
  if (tree < 0) return fail(-tree, "bind source", a[0].text);
  int result = taken ? 0 : map_source(run, a[1].text, a[0].text, tree);
  if (!result) result = dress_tree(tree, a, taken);
  int place = result ? result : place_of_bind(run, a, tree);
  if (place >= 0) {
    result = attach(run, tree, place, a[1].text);
    close(place);
  } else result = place;
  close(tree);
  return result;
}
