/* What a process is given for itself: names, kernel parameters, limits, session, working directory. */
#include "inside.h"
#include "steps.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int step_hostname(struct run *run, const struct arg *a) {
  (void)run;
  return sethostname(a[0].text, a[0].length) ? fail(errno, "set host name", a[0].text) : 0;
}

int step_domainname(struct run *run, const struct arg *a) {
  (void)run;
  return setdomainname(a[0].text, a[0].length) ? fail(errno, "set domain name", a[0].text) : 0;
}

/* A key in either spelling of sysctl(8): whichever of `.` and `/` comes first separates, the other is a character of
 * a name (net/ipv4/conf/eth0.1/forwarding). */
static void path_of_key(const char *key, char *path) {
  const char *first = strpbrk(key, "./");
  bool dots = first && *first == '.';
  for (; *key; key++) *path++ = dots && *key == '.' ? '/' : dots && *key == '/' ? '.' : *key;
  *path = 0;
}

int step_sysctl(struct run *run, const struct arg *a) {
  (void)run;
  char path[PATH_MAX];
  if (a[0].length >= sizeof path) return fail(ENAMETOOLONG, "sysctl", NULL);
  path_of_key(a[0].text, path);
  int dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return fail(errno, "sysctl", a[0].text);
  /* An image or a volume may hold a /proc of its own making (CVE-2019-16884): only the real one is written to. */
  struct statfs type;
  int result = fstatfs(dir, &type) ? -errno : type.f_type == PROC_SUPER_MAGIC ? 0 : -ENODEV;
  struct open_how how = {.flags = O_WRONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
  int fd = result ? -1 : (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
  if (!result && fd < 0) result = -errno;
  if (!result && write(fd, a[1].text, a[1].length) < 0) result = -errno;
  close_fd(&fd);
  close(dir);
  return result ? fail(-result, "sysctl", a[0].text) : 0;
}

int step_rlimit(struct run *run, const struct arg *a) {
  (void)run;
  struct rlimit limit = {.rlim_cur = a[1].number, .rlim_max = a[2].number};
  return prlimit(0, (enum __rlimit_resource)a[0].number, &limit, NULL) ? fail(errno, "set resource limit", NULL) : 0;
}

int step_set_session(struct run *run, const struct arg *a) {
  (void)run;
  (void)a;
  /* EPERM: it leads one already. */
  return setsid() < 0 && errno != EPERM ? fail(errno, "setsid", NULL) : 0;
}

int step_parent_death_signal(struct run *run, const struct arg *a) {
  run->death_signal = (u32)a[0].number;
  if (prctl(PR_SET_PDEATHSIG, a[0].number)) return fail(errno, "parent death signal", NULL);
  return monitor_gone(run) ? fail(EPIPE, "the monitor is gone", NULL) : 0;
}

/* Who else may find the keyring by its name: later processes of the container join it that way. */
static int open_keyring(long id, u64 rights) {
  char words[128] = {0};
  if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, id, words, sizeof words - 1) < 0) return -errno;
  const char *at = words;
  for (int field = 0; field < 3 && at; field++)
    if ((at = strchr(at, ';'))) at++;
  if (!at) return -EPROTO;
  unsigned long present = strtoul(at, NULL, 16);
  return syscall(SYS_keyctl, KEYCTL_SETPERM, id, present | rights) ? -errno : 0;
}

int step_keyring(struct run *run, const struct arg *a) {
  (void)run;
  if (a[2].length && selinux_enabled()) {
    int result = write_attribute("/proc/thread-self/attr/keycreate", "", a[2].text);
    if (result) return fail(-result, "label the session keyring", a[2].text);
  }
  long id = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, a[0].length ? a[0].text : NULL);
  if (id < 0) return errno == ENOSYS ? 0 : fail(errno, "session keyring", a[0].text);
  int result = a[1].number ? open_keyring(id, a[1].number) : 0;
  return result ? fail(-result, "rights of the session keyring", a[0].text) : 0;
}

/* The file of a process that cannot be dumped belongs to root, whose rights it may not have. */
static int write_score(const char *path, const char *number, size_t length) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 && errno == EACCES) {
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    int error = errno;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    errno = error;
  }
  if (fd < 0) return -errno;
  int result = write_all(fd, number, length);
  close(fd);
  return result;
}

/* In the monitor: of the child. In the child, with the host's /proc in sight: its own, unless that was done. */
int step_oom_score(struct run *run, const struct arg *a) {
  char number[24], path[48], present[24];
  i64 value = (i64)a[0].number;
  struct text text = {number, sizeof number, 0}, file = {path, sizeof path, 0};
  text_add(&text, value < 0 ? "-" : "");
  text_add_number(&text, (u64)(value < 0 ? -value : value));
  text_add(&file, "/proc/");
  if (run->child > 0) text_add_number(&file, (u64)run->child);
  else text_add(&file, "self");
  text_add(&file, "/oom_score_adj");
  if (read_small(AT_FDCWD, path, present, sizeof present) > 0 && !strncmp(present, number, text.length) && present[text.length] == '\n') return 0;
  int result = write_score(path, number, text.length);
  return result ? fail(-result, "OOM score", NULL) : 0;
}

/* Not by way of /proc/self/fd: what this program has open is not the container's to enter. */
static int enter(const struct run *run, const char *path) {
  int fd = inside_open(run, path, O_PATH | O_DIRECTORY, 0);
  int result = fd < 0 ? fd : fchdir(fd) ? -errno : 0;
  close_fd(&fd);
  return result;
}

int step_chdir(struct run *run, const struct arg *a) {
  int result = enter(run, a[0].text);
  if (result == -ENOENT && a[1].number) {
    int fd = inside_make(run, a[0].text, MAKE_DIRECTORY, 0755, NULL);
    result = fd < 0 ? fd : fchdir(fd) ? -errno : 0;
    close_fd(&fd);
  }
  if (result) return fail(-result, "working directory", a[0].text);
  /* The raw call: a directory outside the root comes back as "(unreachable)…" instead of an error (CVE-2024-21626). */
  char path[PATH_MAX];
  if (syscall(SYS_getcwd, path, sizeof path) < 0) return fail(errno, "working directory", a[0].text);
  return path[0] == '/' ? 0 : fail(EPERM, "working directory is outside the container", a[0].text);
}
