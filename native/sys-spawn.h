/* Starting a program; see sys-spawn.c. */
#ifndef GANTRY_SYS_SPAWN_H
#define GANTRY_SYS_SPAWN_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

struct spawn_request {
  /* An open program; ignored when there is a path. */
  int program;
  const char *path;
  /* NULL: ours. */
  const char *cwd;
  /* The child leads a process group of its own. */
  bool own_group;
  char **argv;
  char **env;
  /* Index: the number in the child; value: the fd here, -1 for /dev/null. Overwritten. */
  int *fds;
  int fd_count;
};

struct spawn_result {
  int pid;
  int pidfd;
  const char *step;
};

/*
 * 0, or a negative errno with `step` naming the system call. When `pid` is positive a child exists and must be waited for
 * by the caller, even after an error (it has exited 127 then); `pidfd` is the caller's to close.
 */
int spawn_program(const struct spawn_request *request, struct spawn_result *result);

#endif
