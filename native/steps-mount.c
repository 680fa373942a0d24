/* Mounts: made detached with the new mount API, then moved onto an opened fd, so that no path is looked up twice. */
#include "inside.h"
#include "mounts.h"
#include "steps.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

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

int set_attributes(int fd, u64 ms, bool recursive) {
  struct mount_attr attr = {.attr_set = mount_attributes(ms)};
  if (ms & (MS_NOATIME | MS_STRICTATIME | MS_RELATIME)) attr.attr_clr = MOUNT_ATTR__ATIME;
  if (!attr.attr_set && !attr.attr_clr) return 0;
  return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr) ? -errno : 0;
}

static int set_propagation(int fd, u64 ms) {
  struct mount_attr attr = {.propagation = ms & PROPAGATION};
  if (!attr.propagation) return 0;
  return mount_setattr(fd, "", AT_EMPTY_PATH | (ms & MS_REC ? AT_RECURSIVE : 0), &attr, sizeof attr) ? -errno : 0;
}

int step_mount_propagation(struct run *run, const struct arg *a) {
  (void)run;
  return mount(NULL, a[0].text, NULL, a[1].number, NULL) ? fail(errno, "propagation of", a[0].text) : 0;
}

/* ---- file system contexts ---- */

/* The kernel's own words about the last refusal, if it left any: "overlay: lowerdir is not …". */
static int context_failure(int context, int err, const char *what, const char *detail) {
  static char words[256];
  ssize_t n = read(context, words, sizeof words - 1);
  if (n < 3) return fail(err, what, detail);
  words[n] = 0;
  while (n && (words[n - 1] == '\n' || words[n - 1] == ' ')) words[--n] = 0;
  return fail(err, what, words + 2); /* behind "e " */
}

static int set_string(int context, const char *key, const char *value) {
  return fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) ? -errno : 0;
}

/* `key=value,flag,…`. A comma inside double quotes (SELinux contexts) does not end an option. */
static int set_options(int context, const char *options, char *space) {
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

static int finish_context(int context, u64 attributes, const char *what, const char *detail) {
  if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) return context_failure(context, errno, what, detail);
  int mount = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes);
  return mount < 0 ? context_failure(context, errno, what, detail) : mount;
}

/* ---- overlay ---- */

/* A value that fsconfig takes (below 256 bytes, and without characters that mean something to overlay): the path, or
 * /proc/self/fd/N of it opened; /proc is the host's as long as the root is not changed. */
static int short_name(const char *path, char name[64], const char **value) {
  *value = path;
  if (strlen(path) < 256 && !strpbrk(path, ":,\\")) return 0;
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct text text = {name, 64, 0};
  text_add(&text, "/proc/self/fd/");
  text_add_number(&text, (u64)fd);
  *value = name;
  return 0; /* the fd goes with exec */
}

static int set_directory(int context, const char *key, const char *path) {
  char name[64];
  const char *value;
  int result = short_name(path, name, &value);
  return result ? result : set_string(context, key, value);
}

static int set_layers(int context, const struct arg *a) {
  const u8 *cursor = a[1].bytes;
  for (u32 i = 0; i < a[1].count; i++) {
    const char *lower = next_string(&cursor);
    int result = set_directory(context, "lowerdir+", lower);
    if (result == -EINVAL && !i) return -EOPNOTSUPP;
    if (result) return context_failure(context, -result, "overlay layer", lower);
  }
  int result = a[2].length ? set_directory(context, "upperdir", a[2].text) : 0;
  if (result) return context_failure(context, -result, "overlay upper directory", a[2].text);
  result = a[2].length ? set_directory(context, "workdir", a[3].text) : 0;
  return result ? context_failure(context, -result, "overlay work directory", a[3].text) : 0;
}

/* Before Linux 6.7 layers go into one string of at most a page: names of opened fds keep it short. */
static int overlay_by_string(const struct arg *a) {
  char data[4096], name[64];
  struct text text = {data, sizeof data, 0};
  const u8 *cursor = a[1].bytes;
  text_add(&text, "lowerdir=");
  for (u32 i = 0; i < a[1].count + (a[2].length ? 2u : 0u); i++) {
    bool layer = i < a[1].count;
    const char *path = layer ? next_string(&cursor) : a[2 + i - a[1].count].text;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail(errno, "overlay layer", path);
    struct text part = {name, sizeof name, 0};
    text_add(&part, layer ? (i ? ":" : "") : i == a[1].count ? ",upperdir=" : ",workdir=");
    text_add(&part, "/proc/self/fd/");
    text_add_number(&part, (u64)fd);
    text_add(&text, name);
  }
  if (a[4].length) text_add(&text, ",");
  text_add(&text, a[4].text);
  if (text.length + 1 >= sizeof data) return fail(E2BIG, "overlay of too many layers on", a[0].text);
  return mount("overlay", a[0].text, "overlay", 0, data) ? fail(errno, "mount overlay on", a[0].text) : 0;
}

int step_overlay(struct run *run, const struct arg *a) {
  if (a[4].length >= run->plan.scratch_size) return fail(E2BIG, "overlay options", NULL);
  int context = fsopen("overlay", FSOPEN_CLOEXEC);
  if (context < 0) return fail(errno, "overlay", NULL);
  set_string(context, "source", "overlay");
  int result = set_layers(context, a);
  if (result == -EOPNOTSUPP) {
    close(context);
    return overlay_by_string(a);
  }
  if (!result) result = set_options(context, a[4].text, (char *)run->plan.scratch);
  int mount = result ? result : finish_context(context, 0, "mount overlay on", a[0].text);
  close(context);
  if (mount < 0) return mount;
  result = move_mount(mount, "", AT_FDCWD, a[0].text, MOVE_MOUNT_F_EMPTY_PATH) ? fail(errno, "mount overlay on", a[0].text) : 0;
  close(mount);
  return result;
}

/* ---- root, mount, bind ---- */

static int open_or_bind_root(const struct arg *a) {
  int fd = open(a[0].text, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(errno, "root directory", a[0].text);
  struct statx status;
  if (statx(fd, "", AT_EMPTY_PATH, 0, &status)) return fail(errno, "stat", a[0].text);
  if (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) return fd;
  int tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0) return fail(errno, "bind the root", a[0].text);
  if (move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)) return fail(errno, "bind the root", a[0].text);
  close(fd);
  return tree;
}

int step_root(struct run *run, const struct arg *a) {
  int fd = open_or_bind_root(a);
  if (fd < 0) return fd;
  int result = set_propagation(fd, a[1].number & PROPAGATION ? a[1].number : MS_PRIVATE);
  if (!result) result = set_attributes(fd, a[1].number, false);
  if (result) return fail(-result, "attributes of the root", a[0].text);
  run->root = fd;
  return 0;
}

/* Moves a detached mount onto an inside path. */
static int place(struct run *run, int mount, const char *inside, enum make make) {
  int target = inside_make(run, inside, make, make == MAKE_FILE ? 0644 : 0755, NULL);
  if (target < 0) return fail(-target, "mount point", inside);
  int result = move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ? fail(errno, "mount on", inside) : 0;
  close(target);
  return result;
}

int step_mount(struct run *run, const struct arg *a) {
  u64 flags = a[3].number;
  if (a[4].length >= run->plan.scratch_size) return fail(E2BIG, "mount options", a[1].text);
  int context = fsopen(a[2].text, FSOPEN_CLOEXEC);
  if (context < 0) return fail(errno, "file system type", a[2].text);
  int result = a[0].length ? set_string(context, "source", a[0].text) : 0;
  if (result) result = context_failure(context, -result, "mount source", a[0].text);
  /* Read-only goes to the mount alone: the super block of cgroup and sysfs is shared with the host. */
  if (!result && flags & MS_SYNCHRONOUS) fsconfig(context, FSCONFIG_SET_FLAG, "sync", NULL, 0);
  if (!result && flags & MS_DIRSYNC) fsconfig(context, FSCONFIG_SET_FLAG, "dirsync", NULL, 0);
  if (!result) result = set_options(context, a[4].text, (char *)run->plan.scratch);
  int mount = result ? result : finish_context(context, mount_attributes(flags), "mount on", a[1].text);
  close(context);
  if (mount < 0) return mount;
  result = set_propagation(mount, flags);
  result = result ? fail(-result, "propagation of", a[1].text) : place(run, mount, a[1].text, a[5].number ? MAKE_DIRECTORY : MAKE_NOTHING);
  close(mount);
  return result;
}

static int dress_tree(int tree, const struct arg *a) {
  bool recursive = a[5].number;
  struct mount_attr attr = {.attr_set = a[3].number, .attr_clr = a[4].number};
  if ((attr.attr_set || attr.attr_clr) && mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr))
    return fail(errno, "attributes of", a[1].text);
  int result = set_attributes(tree, a[2].number, false);
  if (result) return fail(-result, "attributes of", a[1].text);
  result = set_propagation(tree, a[7].number);
  return result ? fail(-result, "propagation of", a[1].text) : 0;
}

int step_bind(struct run *run, const struct arg *a) {
  bool recursive = a[5].number || a[2].number & MS_REC;
  int tree = open_tree(AT_FDCWD, a[0].text, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
  if (tree < 0) return fail(errno, "bind source", a[0].text);
  int result = dress_tree(tree, a);
  enum make make = (enum make)a[6].number;
  if (!result && make > MAKE_FILE) {
    struct stat status;
    if (fstat(tree, &status)) result = fail(errno, "stat", a[0].text);
    make = !result && S_ISDIR(status.st_mode) ? MAKE_DIRECTORY : MAKE_FILE;
  }
  if (!result) result = place(run, tree, a[1].text, make);
  close(tree);
  return result;
}
