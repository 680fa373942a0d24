/* Steps on plain host paths, which TypeScript chose: nothing here follows names that a container controls. */
#include "steps.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_one(const char *path, mode_t mode) {
  if (!mkdir(path, mode) || errno == EEXIST) return 0;
  return -errno;
}

int step_make_dir(struct run *run, const struct arg *a) {
  (void)run;
  char path[PATH_MAX];
  if (a[0].length >= sizeof path) return fail(ENAMETOOLONG, "make directory", a[0].text);
  memcpy(path, a[0].text, a[0].length + 1);
  /* The common case, where the parents exist, costs one call. */
  int result = make_one(path, (mode_t)a[1].number);
  if (result == -ENOENT && a[2].number) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
      *slash = 0;
      result = make_one(path, (mode_t)a[1].number);
      *slash = '/';
      if (result) break;
    }
    if (!result || result == -ENOENT) result = make_one(path, (mode_t)a[1].number);
  }
  return result ? fail(-result, "make directory", a[0].text) : 0;
}

/* One write: cgroup files and their kin take a value whole or not at all. */
static int write_once(const char *path, int flags, const void *data, size_t length) {
  int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | flags, 0644);
  if (fd < 0) return fail(errno, "open", path);
  ssize_t n;
  do n = write(fd, data, length);
  while (n < 0 && errno == EINTR);
  int result = n < 0 ? -errno : (size_t)n < length ? -EIO : 0;
  close(fd);
  return result ? fail(-result, "write", path) : 0;
}

int step_write_file(struct run *run, const struct arg *a) {
  (void)run;
  return write_once(a[0].text, (int)a[2].number, a[1].bytes, a[1].length);
}

int step_join_cgroup(struct run *run, const struct arg *a) {
  static char path[PATH_MAX]; /* fail() may point at it */
  char number[24];
  struct text name = {path, sizeof path, 0}, pid = {number, sizeof number, 0};
  if (run->child <= 0) return fail(ESRCH, "join-cgroup before clone", a[0].text);
  text_add(&name, a[0].text);
  text_add(&name, "/cgroup.procs");
  text_add_number(&pid, (u64)run->child);
  return write_once(path, 0, number, pid.length);
}

/* A thread that moves itself needs no lock against forks and exits, which the kernel takes a grace period (10 to 20 ms) to
 * get when a monitor moves its child. The caller has one thread: the whole process is moved. */
int step_enter_cgroup(struct run *run, const struct arg *a) {
  static char path[PATH_MAX]; /* fail() may point at it */
  struct text name = {path, sizeof path, 0};
  (void)run;
  text_add(&name, a[0].text);
  size_t dir = name.length;
  text_add(&name, "/tasks");
  int result = write_once(path, 0, "0", 1);
  if (result != -ENOENT) return result;
  /* The v2 hierarchy of a hybrid machine. */
  name.length = dir;
  text_add(&name, "/cgroup.procs");
  return write_once(path, 0, "0", 1);
}

int step_remove_file(struct run *run, const struct arg *a) {
  (void)run;
  return unlink(a[0].text) && errno != ENOENT ? fail(errno, "remove", a[0].text) : 0;
}

int step_write_pid_file(struct run *run, const struct arg *a) {
  char number[24];
  struct text pid = {number, sizeof number, 0};
  if (run->child <= 0) return fail(ESRCH, "pid file before clone", a[0].text);
  text_add_number(&pid, (u64)run->child);
  int result = replace_file(a[0].text, number, pid.length);
  if (!result) run->pid_file = a[0].text;
  return result ? fail(-result, "write", a[0].text) : 0;
}
