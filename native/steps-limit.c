/* Limits whose file depends on the kernel, empty cpusets of v1, and handing a v2 cgroup to the container's own root. */
#include "steps.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MASK_BYTES = 4096, MISSING_IS_FINE = 1 };

static int write_value(int fd, const char *value) {
  size_t length = strlen(value);
  ssize_t n;
  do n = write(fd, value, length);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : (size_t)n < length ? -EIO : 0;
}

/* Names differ between kernels and schedulers (blkio.weight, blkio.bfq.weight): the first that is there is meant. */
int step_limit(struct run *run, const struct arg *a) {
  (void)run;
  static char path[PATH_MAX]; /* fail() may point at it */
  const u8 *names = a[1].bytes, *values = a[2].bytes;
  if (!a[1].count || a[1].count != a[2].count) return fail(EINVAL, "limit", a[0].text);
  for (u32 i = 0; i < a[1].count; i++) {
    const char *name = next_string(&names), *value = next_string(&values);
    struct text whole = {path, sizeof path, 0};
    text_add(&whole, a[0].text);
    text_add(&whole, "/");
    text_add(&whole, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) continue;
    if (fd < 0) return fail(errno, "open", path);
    int result = write_value(fd, value);
    close(fd);
    return result ? fail(-result, "write", path) : 0;
  }
  /* A missing directory is no missing limit. */
  if (a[3].number == MISSING_IS_FINE && !access(a[0].text, F_OK)) return 0;
  return fail(ENOENT, "open", path);
}

static const char *const masks[] = {"cpuset.cpus", "cpuset.mems"};

static int fill_masks(int parent, int child, const char *dir) {
  char text[MASK_BYTES];
  for (size_t i = 0; i < COUNT(masks); i++) {
    int length = read_small(child, masks[i], text, sizeof text);
    if (length < 0) return fail(-length, "read the cpuset", dir);
    if (length && text[0] != '\n') continue;
    length = read_small(parent, masks[i], text, sizeof text);
    if (length < 0) return fail(-length, "read the parent's cpuset", dir);
    int fd = openat(child, masks[i], O_WRONLY | O_CLOEXEC);
    int result = fd < 0 ? -errno : write_value(fd, text);
    if (fd >= 0) close(fd);
    if (result) return fail(-result, "fill the cpuset", dir);
  }
  return 0;
}

/* From the hierarchy's mount a[0] down along a[1]: what is empty gets its parent's. */
int step_fill_cpuset(struct run *run, const struct arg *a) {
  (void)run;
  char path[PATH_MAX];
  if (a[1].length >= sizeof path) return fail(ENAMETOOLONG, "fill the cpuset", a[1].text);
  memcpy(path, a[1].text, a[1].length + 1);
  int parent = open(a[0].text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return fail(errno, "open", a[0].text);
  int result = 0;
  char *rest = path, *name;
  while (!result && (name = strtok_r(rest, "/", &rest))) {
    int child = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (child < 0) {
      result = fail(errno, "open the cpuset", a[1].text);
      break;
    }
    result = fill_masks(parent, child, a[1].text);
    close(parent);
    parent = child;
  }
  close(parent);
  return result;
}

static int give(int dir, const char *name, uid_t uid) {
  int flags = *name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
  return fchownat(dir, name, uid, (gid_t)-1, flags) && errno != ENOENT ? -errno : 0;
}

/* What may be delegated is the kernel's to say (cgroups(7), "Cgroups delegation"); before 4.15 it said nothing. */
int step_cgroup_owner(struct run *run, const struct arg *a) {
  (void)run;
  char files[1024];
  uid_t uid = (uid_t)a[1].number;
  int dir = open(a[0].text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return fail(errno, "open", a[0].text);
  if (read_small(AT_FDCWD, "/sys/kernel/cgroup/delegate", files, sizeof files) < 0)
    strcpy(files, "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n");
  int result = give(dir, "", uid);
  char *rest = files, *name;
  while (!result && (name = strtok_r(rest, "\n", &rest)))
    if (!strchr(name, '/')) result = give(dir, name, uid);
  close(dir);
  return result ? fail(-result, "hand over the cgroup", a[0].text) : 0;
}

/* What a small container reads first is read by us and counted as ours: the kernel's readahead alone can be more than its
 * limit. Only a hint: nothing that fails here is an error. */
int step_warm_program(struct run *run, const struct arg *a) {
  (void)run;
  enum { MOST = 4 << 20 };
  struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  int root = open(a[0].text, O_PATH | O_DIRECTORY | O_CLOEXEC);
  const u8 *names = a[1].bytes;
  for (u32 i = 0; root >= 0 && i < a[1].count; i++) {
    struct stat status;
    int fd = (int)syscall(SYS_openat2, root, next_string(&names), &how, sizeof how);
    if (fd < 0) continue;
    bool program = !fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_mode & 0111;
    if (program) (void)readahead(fd, 0, MOST);
    close(fd);
    if (program) break;
  }
  if (root >= 0) close(root);
  return 0;
}
