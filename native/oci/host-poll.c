/* Waiting for fds and signals. */
#include "host.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int poll_until(struct pollfd *fds, nfds_t count, int64_t deadline) {
  for (;;) {
    int ready = poll(fds, count, remaining_ms(deadline));
    if (ready >= 0 || errno != EINTR) return ready;
  }
}

HOST_FUNCTION(host_poll) {
  UNUSED_SELF;
  static int numbers[HOST_MAX_FDS], outputs[HOST_MAX_FDS];
  static struct pollfd fds[2 * HOST_MAX_FDS];
  int64_t timeout;
  int inputs = take_fds(ctx, argv[0], numbers), count = inputs;
  if (inputs < 0 || !take_int64(ctx, argv[1], &timeout)) return JS_EXCEPTION;
  if (argc > 2 && !JS_IsUndefined(argv[2])) {
    int more = take_fds(ctx, argv[2], outputs);
    if (more < 0) return JS_EXCEPTION;
    count += more;
  }
  for (int i = 0; i < count; i++)
    fds[i] = i < inputs ? (struct pollfd){.fd = numbers[i], .events = POLLIN}
                        : (struct pollfd){.fd = outputs[i - inputs], .events = POLLOUT};
  if (poll_until(fds, (nfds_t)count, deadline_after(timeout)) < 0) return throw_errno(ctx, errno, "poll", NULL);
  JSValue ready = JS_NewArray(ctx);
  uint32_t found = 0;
  for (int i = 0; i < count; i++) {
    if (fds[i].revents != 0) JS_DefinePropertyValueUint32(ctx, ready, found++, JS_NewInt32(ctx, i), JS_PROP_C_W_E);
  }
  return ready;
}

HOST_FUNCTION(host_writable) {
  UNUSED_SELF;
  int fd;
  int64_t timeout;
  if (!take_int(ctx, argv[0], &fd) || !take_int64(ctx, argv[1], &timeout)) return JS_EXCEPTION;
  int ready = wait_fd(fd, POLLOUT, deadline_after(timeout));
  return ready < 0 ? throw_errno(ctx, errno, "poll", NULL) : JS_NewBool(ctx, ready > 0);
}

HOST_FUNCTION(host_signal_fd) {
  UNUSED_SELF;
  static int numbers[HOST_MAX_FDS];
  int count = take_fds(ctx, argv[0], numbers);
  if (count < 0) return JS_EXCEPTION;
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < count; i++)
    if (sigaddset(&set, numbers[i]) != 0) return throw_errno(ctx, errno, "signalfd", NULL);
  if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return throw_errno(ctx, errno, "sigprocmask", NULL);
  return number_or_throw(ctx, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd", NULL);
}

HOST_FUNCTION(host_next_signal) {
  UNUSED_SELF;
  int fd;
  if (!take_int(ctx, argv[0], &fd)) return JS_EXCEPTION;
  struct signalfd_siginfo info;
  ssize_t n;
  do n = read(fd, &info, sizeof info);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno != EAGAIN) return throw_errno(ctx, errno, "read", NULL);
  return JS_NewInt32(ctx, n == (ssize_t)sizeof info ? (int)info.ssi_signo : 0);
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("poll", 3, host_poll),
    JS_CFUNC_DEF("writable", 2, host_writable),
    JS_CFUNC_DEF("signalFd", 1, host_signal_fd),
    JS_CFUNC_DEF("nextSignal", 1, host_next_signal),
};
HOST_TABLE(host_poll_table, entries);
