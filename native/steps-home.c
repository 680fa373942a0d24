/* HOME, where the plan's environment has none: what the container's /etc/passwd says of the user. */
#include "steps.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST_LINE = 1024, MOST_BYTES = 1 << 20 };

static char variable[LONGEST_LINE + 8];

/* name:password:uid:gid:comment:home:shell. True when the line is this user's, and has a home. */
static bool take_line(char *line, u64 uid) {
  char *fields[6] = {line};
  for (int i = 1; i < 6; i++) {
    char *colon = strchr(fields[i - 1], ':');
    if (!colon) return false;
    *colon = 0;
    fields[i] = colon + 1;
  }
  u64 number = 0;
  const char *digit = fields[2];
  for (; *digit >= '0' && *digit <= '9' && number < UINT32_MAX; digit++) number = number * 10 + (u64)(*digit - '0');
  fields[5][strcspn(fields[5], ":")] = 0;
  if (digit == fields[2] || *digit || number != uid || !*fields[5]) return false;
  struct text text = {variable, sizeof variable, 0};
  text_add(&text, "HOME=");
  text_add(&text, fields[5]);
  return true;
}

/* The file is the image's: any length, any bytes. */
static bool search(int fd, u64 uid) {
  char chunk[4096], line[LONGEST_LINE];
  size_t length = 0;
  bool cut = false;
  for (size_t total = 0; total < MOST_BYTES;) {
    ssize_t n = read(fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    for (ssize_t i = 0; i < n; i++) {
      if (chunk[i] != '\n') {
        cut |= length == sizeof line - 1;
        if (!cut) line[length++] = chunk[i];
        continue;
      }
      line[length] = 0;
      if (!cut && take_line(line, uid)) return true;
      length = 0;
      cut = false;
    }
    if (n <= 0) break;
    total += (size_t)n;
  }
  line[length] = 0;
  return !cut && take_line(line, uid);
}

int step_home(struct run *run, const struct arg *a) {
  (void)run;
  struct stat status;
  memcpy(variable, "HOME=/", 7);
  /* Not to wait for whoever would write into a pipe of that name. */
  int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode)) search(fd, a[0].number);
  close_fd(&fd);
  return 0;
}

/* Behind the last variable; the list has room for it. */
void add_home(char **env) {
  if (!*variable) return;
  for (; *env; env++)
    if (!strncmp(*env, "HOME=", 5)) return;
  env[0] = variable;
  env[1] = NULL;
}
