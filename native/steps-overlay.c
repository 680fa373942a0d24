/* The root of an image: its layers and the container's changes on top, as one overlay mount. */
#include "mounts.h"
#include "steps.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

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
