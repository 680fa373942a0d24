/* Modes monitor and run: from the plan to the exit. */
#ifndef GANTRY_MONITOR_H
#define GANTRY_MONITOR_H

#include "run.h"

struct exit_report {
  i32 code, signal;
  bool oom_killed;
  u64 at_ns;
  u32 lost_lines, teardown_step;
  i32 teardown_error;
};

/* Runs the whole plan; returns the program's exit code. */
int monitor_main(struct run *run);

/* start.c: sections 1 and 2. On failure *index is the step's and `context` says what was being done. */
int start_container(struct run *run, u32 *index, struct text *context);
/* Kills the child, if there is one, and waits for its end. */
void kill_child(struct run *run);
/* Section 3; every step, the first failure is noted. */
void run_teardown(struct run *run, u32 *first_failed, i32 *error);

/* report.c: status file and frames. */
void report_started(struct run *run);
void report_failed(struct run *run, u32 index, int error, const char *context);
void write_exit_status(const struct run *run, const struct exit_report *report);
u32 started_frame(const struct run *run, u8 frame[64]);
u32 exited_frame(const struct exit_report *report, u8 frame[64]);

/* loop.c: everything between STARTED and EXITED. The OOM kills of the cgroup are counted from the note on. */
void note_oom_kills(const struct run *run);
void run_until_exit(struct run *run, int listener);

/* socket.c */
int listen_at(const char *path);
int send_console(const char *socket_path, int master);
/* Connects to a stream socket and sends the bytes with the fd. */
int send_fd(const char *socket_path, int passed, const void *bytes, size_t length);

/* steps-listener.c: the fd of a seccomp filter goes where the plan says. On failure *index is the step's. */
int hand_over_listener(struct run *run, int notify, u32 *index);

#endif
