#include "base.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h> /* rename */
#include <time.h>
#include <unistd.h>

struct failure last_failure;

int fail(int err, const char *what, const char *detail) {
  last_failure.what = what;
  last_failure.detail = detail;
  return err > 0 ? -err : -EIO;
}

void text_add(struct text *text, const char *words) {
  while (*words && text->length + 1 < text->capacity) text->bytes[text->length++] = *words++;
  text->bytes[text->length] = 0;
}

void text_add_number(struct text *text, u64 number) {
  char digits[21];
  size_t at = sizeof digits - 1;
  digits[at] = 0;
  do digits[--at] = (char)('0' + number % 10);
  while (number /= 10);
  text_add(text, digits + at);
}

u16 load16(const u8 *b) { return (u16)(b[0] | b[1] << 8); }
u32 load32(const u8 *b) { return (u32)load16(b) | (u32)load16(b + 2) << 16; }
u64 load64(const u8 *b) { return (u64)load32(b) | (u64)load32(b + 4) << 32; }

u8 *store32(u8 *to, u32 value) {
  for (int i = 0; i < 4; i++) *to++ = (u8)(value >> (8 * i));
  return to;
}

u8 *store64(u8 *to, u64 value) { return store32(store32(to, (u32)value), (u32)(value >> 32)); }

i64 now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (i64)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

u64 unix_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

int write_all(int fd, const void *bytes, size_t length) {
  const char *at = bytes;
  while (length) {
    ssize_t n = write(fd, at, length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    at += n;
    length -= (size_t)n;
  }
  return 0;
}

int read_small(int dir, const char *path, char *buffer, size_t capacity) {
  int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return -errno;
  size_t length = 0;
  int result = 0;
  while (length < capacity - 1) {
    ssize_t n = read(fd, buffer + length, capacity - 1 - length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) result = -errno;
    if (n <= 0) break;
    length += (size_t)n;
  }
  close(fd);
  buffer[length] = 0;
  return result ? result : (int)length;
}

/* Never a file that is there: in a directory of everybody's it would stay its maker's, and a fifo would hold us. What a
 * killed one has left hinders nobody. */
static int open_anew(const char *path) {
  int fd, tries = 8;
  do fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  while (fd < 0 && errno == EEXIST && tries-- && !unlink(path));
  return fd;
}

int replace_file(const char *path, const char *bytes, size_t length) {
  char temporary[PATH_MAX];
  struct text name = {temporary, sizeof temporary, 0};
  text_add(&name, path);
  text_add(&name, ".tmp");
  if (name.length + 1 >= sizeof temporary) return -ENAMETOOLONG;
  int fd = open_anew(temporary);
  if (fd < 0) return -errno;
  int result = write_all(fd, bytes, length);
  close(fd);
  if (!result && rename(temporary, path)) result = -errno;
  if (result) unlink(temporary);
  return result;
}

u64 start_time_of(pid_t pid) {
  char path[40], stat[1024];
  struct text name = {path, sizeof path, 0};
  text_add(&name, "/proc/");
  text_add_number(&name, (u64)pid);
  text_add(&name, "/stat");
  if (read_small(AT_FDCWD, path, stat, sizeof stat) < 0) return 0;
  /* The command name (field 2) may hold spaces and parentheses: fields are counted from its last ')'. */
  const char *at = strrchr(stat, ')');
  if (!at) return 0;
  for (int field = 2; field < 22; field++) {
    at = strchr(at + 1, ' ');
    if (!at) return 0;
  }
  u64 value = 0;
  for (at++; *at >= '0' && *at <= '9'; at++) value = value * 10 + (u64)(*at - '0');
  return value;
}
