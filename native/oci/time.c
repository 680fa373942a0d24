/* Clocks, deadlines, waiting for one fd. */
#include "host.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

int64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t deadline_after(int64_t timeout_ms) { return timeout_ms < 0 ? NO_DEADLINE : monotonic_ms() + timeout_ms; }

int remaining_ms(int64_t deadline) {
  if (deadline == NO_DEADLINE) return -1;
  int64_t left = deadline - monotonic_ms();
  return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

void sleep_us(int64_t microseconds) {
  struct timespec left = {microseconds / 1000000, microseconds % 1000000 * 1000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

int wait_fd(int fd, short events, int64_t deadline) {
  struct pollfd wanted = {.fd = fd, .events = events};
  for (;;) {
    int ready = poll(&wanted, 1, remaining_ms(deadline));
    if (ready >= 0 || errno != EINTR) return ready;
  }
}

int write_fully(int fd, const void *data, size_t length) {
  const char *from = data;
  while (length > 0) {
    ssize_t written = write(fd, from, length);
    if (written < 0 && errno == EAGAIN) {
      if (wait_fd(fd, POLLOUT, NO_DEADLINE) < 0) return -1;
    } else if (written < 0 && errno != EINTR) {
      return -1;
    } else if (written > 0) {
      from += written;
      length -= (size_t)written;
    }
  }
  return 0;
}

static JSValue clock_value(JSContext *ctx, clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return JS_NewFloat64(ctx, (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6);
}

HOST_FUNCTION(host_now) {
  UNUSED_SELF, (void)argv;
  return clock_value(ctx, CLOCK_REALTIME);
}

HOST_FUNCTION(host_monotonic) {
  UNUSED_SELF, (void)argv;
  return clock_value(ctx, CLOCK_MONOTONIC);
}

HOST_FUNCTION(host_sleep) {
  UNUSED_SELF;
  double ms = 0;
  if (JS_ToFloat64(ctx, &ms, argv[0]) != 0) return JS_EXCEPTION;
  if (ms > 0 && ms < 1e12) sleep_us((int64_t)(ms * 1000));
  return JS_UNDEFINED;
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("now", 0, host_now),
    JS_CFUNC_DEF("monotonic", 0, host_monotonic),
    JS_CFUNC_DEF("sleep", 1, host_sleep),
};
HOST_TABLE(host_time_table, entries);
