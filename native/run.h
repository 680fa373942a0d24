/* The state of one run of a plan, shared by the monitor and, as a copy from clone on, by the child. */
#ifndef GANTRY_RUN_H
#define GANTRY_RUN_H

#include "plan.h"

/* A page both processes see. Written by the child (and by its forked successor) alone, read by the monitor once the
 * child is gone or has executed: no two writers, no race. */
struct shared {
  volatile u32 step;      /* index of the step being run */
  volatile u32 failed;    /* 1: `error` and `context` are valid and belong to `step` */
  volatile u32 executing; /* 1: execve was called and has not failed */
  i32 error;
  volatile i32 notify;       /* of step seccomp-listener: its fd + 1, or -1; who writes and reads stands there */
  volatile i32 notify_taken; /* 1: written by the monitor, which has sent it on */
  char context[1536];
};

struct run {
  struct plan plan;
  bool relay;       /* mode monitor: stdio is relayed; mode run: inherited */
  struct shared *shared;
  char **argv;      /* of this program: room for the process title */
  int control;      /* fd 3, -1 once it is closed */
  pid_t child;      /* in the host's pid namespace */
  int pidfd;
  int channel[2];   /* SOCK_SEQPACKET, 0 the monitor's end */
  int stdio[3];     /* the child's ends of stdin, stdout, stderr; -1 none */
  int ends[3];      /* the monitor's ends; with a terminal ends[1] is the pty master */
  u64 start_time;
  const char *pid_file; /* of write-pid-file, once it is written: a start that fails removes it */

  struct {
    const char *inside, *path; /* in the plan */
    int tree;                  /* detached, or a user namespace by which `bind` maps what it opens itself; -1 once taken */
    bool maps, below;          /* the latter; all below, too */
  } sources[256];              /* made by the monitor before the clone, used by the child */
  u32 source_count;

  /* The child's own: */
  int root;         /* O_PATH of the new root until pivot-root, then -1 */
  bool pivoted;
  bool console;     /* 0..2 are the container's pty */
  int self_exe;     /* this program, for exec with useInit */
  int proc;         /* a /proc that is none of the container's, for wait-start */
  int fifo;         /* O_PATH of wait-start's fifo */
  int starter;      /* that fifo once `start` has opened it: a failure until execve is told there; -1 */
  int null_dir;     /* an empty read-only tmpfs, for mask; -1 until first used */
  struct {
    const char *inside; /* in the plan */
    int mount;
  } kept[64];       /* mounts whose attributes change once all is made */
  u32 kept_count;
  u32 death_signal; /* of step parent-death-signal */
  bool prepared;    /* exec needs nothing but execve any more */
  u32 umask;        /* what exec restores; setup runs with umask 0 so that modes are exact */
};

/* What passes over the channel: one byte of kind, then i32 value; a console message carries the master's fd. */
enum message { MESSAGE_GO = 'g', MESSAGE_MOVED = 'm', MESSAGE_CONSOLE = 'c', MESSAGE_READY = 'r', MESSAGE_HOOKS = 'h', MESSAGE_LISTENER = 'l',
  /* Of user namespaces: the child has made its own; its maps are written; all its namespaces are there. */
  MESSAGE_UNSHARED = 'u', MESSAGE_MAPPED = 'i', MESSAGE_SETTLED = 's' };
int channel_send(int fd, enum message kind, i32 value, int passed_fd);
/* Returns the kind, 0 at the end, -errno. *passed_fd is -1 when none came. timeout_ms -1: for ever. */
int channel_receive(int fd, i32 *value, int *passed_fd, int timeout_ms);

/* In the child: has the monitor's end of the channel been closed? */
bool monitor_gone(const struct run *run);

/* Before a filter is loaded, or before exec: descriptors, umask, and whether the program is there. */
int prepare_exec(struct run *run);

/* Default dispositions and an empty mask, before a program is executed. */
void reset_signals(void);

/* The life of the child after clone; never returns. */
_Noreturn void child_main(struct run *run);

#endif
