/* What the security modules are told about the program to come. Written while the host's /proc is in sight: it takes effect
 * at execve, and what a container has at /proc is never trusted with it (CVE-2019-16884). */
#include "steps.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { APPARMOR, SELINUX };

static bool apparmor_enabled(void) {
  char word[8] = {0};
  return read_small(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", word, sizeof word) > 0 && word[0] == 'Y';
}

bool selinux_enabled(void) {
  struct statfs type;
  return !statfs("/sys/fs/selinux", &type) && type.f_type == SELINUX_MAGIC;
}

int write_attribute(const char *path, const char *before, const char *label) {
  char words[512];
  struct text text = {words, sizeof words, 0};
  text_add(&text, before);
  text_add(&text, label);
  if (text.length != strlen(before) + strlen(label)) return -ENAMETOOLONG;
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct statfs type;
  int result = fstatfs(fd, &type) ? -errno : type.f_type == PROC_SUPER_MAGIC ? 0 : -ENODEV;
  if (!result && write(fd, words, text.length) < 0) result = -errno;
  close(fd);
  return result;
}

int step_security_label(struct run *run, const struct arg *a) {
  (void)run;
  const char *label = a[1].text;
  int result;
  if (a[0].number == SELINUX) {
    if (!selinux_enabled()) return fail(EOPNOTSUPP, "SELinux is disabled or not supported", NULL);
    result = write_attribute("/proc/thread-self/attr/exec", "", label);
  } else {
    bool unconfined = !strcmp(label, "unconfined");
    if (!apparmor_enabled()) return unconfined ? 0 : fail(EOPNOTSUPP, "AppArmor is not enabled", NULL);
    result = write_attribute("/proc/thread-self/attr/apparmor/exec", "exec ", label);
    /* Before 5.8 the module has no folder of its own. */
    if (result == -ENOENT) result = write_attribute("/proc/thread-self/attr/exec", "exec ", label);
  }
  return result ? fail(-result, NULL, label) : 0;
}
