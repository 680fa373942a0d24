/* Who we are, signals to others. */
#include "host.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

HOST_FUNCTION(host_pid) {
  UNUSED_SELF, (void)argv;
  return JS_NewInt32(ctx, getpid());
}

HOST_FUNCTION(host_uid) {
  UNUSED_SELF, (void)argv;
  return JS_NewInt64(ctx, geteuid());
}

HOST_FUNCTION(host_gid) {
  UNUSED_SELF, (void)argv;
  return JS_NewInt64(ctx, getegid());
}

HOST_FUNCTION(host_kill) {
  UNUSED_SELF;
  int pid, number;
  if (!take_int(ctx, argv[0], &pid) || !take_int(ctx, argv[1], &number)) return JS_EXCEPTION;
  return done_or_throw(ctx, kill(pid, number), "kill", NULL);
}

HOST_FUNCTION(host_pidfd_open) {
  UNUSED_SELF;
  int pid;
  if (!take_int(ctx, argv[0], &pid)) return JS_EXCEPTION;
  return number_or_throw(ctx, syscall(SYS_pidfd_open, pid, 0), "pidfd_open", NULL);
}

HOST_FUNCTION(host_pidfd_signal) {
  UNUSED_SELF;
  int fd, number;
  if (!take_int(ctx, argv[0], &fd) || !take_int(ctx, argv[1], &number)) return JS_EXCEPTION;
  return done_or_throw(ctx, (int)syscall(SYS_pidfd_send_signal, fd, number, NULL, 0), "pidfd_send_signal", NULL);
}

HOST_FUNCTION(host_become_subreaper) {
  UNUSED_SELF, (void)argv;
  return done_or_throw(ctx, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl", NULL);
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("pid", 0, host_pid),
    JS_CFUNC_DEF("uid", 0, host_uid),
    JS_CFUNC_DEF("gid", 0, host_gid),
    JS_CFUNC_DEF("kill", 2, host_kill),
    JS_CFUNC_DEF("pidfdOpen", 1, host_pidfd_open),
    JS_CFUNC_DEF("pidfdSignal", 2, host_pidfd_signal),
    JS_CFUNC_DEF("becomeSubreaper", 0, host_become_subreaper),
};
HOST_TABLE(host_process_table, entries);
