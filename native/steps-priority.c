/* How a process is treated by the kernel's schedulers: processor time, processors, input and output, memory nodes; and its
 * execution domain. All of it is inherited by what it executes. */
#include "steps.h"

#include <limits.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The 56 bytes that kernels since 5.3 know; glibc has no declaration. */
struct scheduling {
  u32 size, policy;
  u64 flags;
  i32 nice;
  u32 priority;
  u64 runtime, deadline, period;
  u32 lowest, highest;
};

int step_scheduler(struct run *run, const struct arg *a) {
  (void)run;
  struct scheduling wanted = {
      .size = sizeof wanted,
      .policy = (u32)a[0].number,
      .nice = (i32)(i64)a[1].number,
      .priority = (u32)a[2].number,
      .flags = a[3].number,
      .runtime = a[4].number,
      .deadline = a[5].number,
      .period = a[6].number,
  };
  return syscall(SYS_sched_setattr, 0, &wanted, 0) ? fail(errno, "set the scheduler", NULL) : 0;
}

int step_io_priority(struct run *run, const struct arg *a) {
  (void)run;
  enum { OF_PROCESS = 1 };
  return syscall(SYS_ioprio_set, OF_PROCESS, 0, (int)a[0].number) ? fail(errno, "set the I/O priority", NULL) : 0;
}

int step_memory_policy(struct run *run, const struct arg *a) {
  (void)run;
  enum { NODES = 1024 };
  unsigned long nodes[NODES / (sizeof(long) * CHAR_BIT)] = {0};
  if (a[1].length > sizeof nodes) return fail(EINVAL, "memory nodes", NULL);
  if (a[1].length) memcpy(nodes, a[1].bytes, a[1].length);
  /* The kernel takes one less than it is told. */
  long result = syscall(SYS_set_mempolicy, (long)a[0].number, a[1].length ? nodes : NULL, a[1].length ? (long)NODES : 0L);
  return result ? fail(errno, "set the memory policy", NULL) : 0;
}

int step_personality(struct run *run, const struct arg *a) {
  (void)run;
  return personality((unsigned long)a[0].number) < 0 ? fail(errno, "set the execution domain", NULL) : 0;
}

int step_cpu_affinity(struct run *run, const struct arg *a) {
  (void)run;
  enum { BYTES = 1024 };
  /* Aligned for the kernel. All processors: it takes those that the cpuset has. */
  unsigned long set[BYTES / sizeof(long)];
  size_t length = a[0].length ? a[0].length : BYTES;
  if (length > BYTES) return fail(EINVAL, "processors", NULL);
  memset(set, a[0].length ? 0 : 0xff, sizeof set);
  if (a[0].length) memcpy(set, a[0].bytes, length);
  length = (length + sizeof(long) - 1) / sizeof(long) * sizeof(long);
  return syscall(SYS_sched_setaffinity, 0, length, set) < 0 ? fail(errno, "set the CPU affinity", NULL) : 0;
}
