/* Starting and reaping children; shared by host-spawn.c and host-run.c. */
#ifndef GANTRY_OCI_CHILD_H
#define GANTRY_OCI_CHILD_H

#include "../sys-spawn.h"
#include "host.h"

/* The exit code, 128 + signal when a signal ended it. */
int exit_code(int status);
/* 1 when it ended and was reaped, 0 at the deadline, -1 with errno. `pidfd` may be -1: one is opened when it must wait. */
int reap_child(int pid, int pidfd, int64_t deadline, int *status);
/* As spawn_program, with the child reaped after an error. 0, or a negative errno. */
int start_child(const struct spawn_request *request, struct spawn_result *child);
/* The first executable `name` in PATH of `env`; `name` itself when it has a slash. False with errno. */
bool find_program(const char *name, char *const *env, struct path *into);

#endif
