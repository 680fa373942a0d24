/* Open files: open, read, write, lock. */
#include "host.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { READ_MOST = 16 * 1024 * 1024, LOCK_FIRST_US = 200, LOCK_LONGEST_US = 10000 };

HOST_FUNCTION(host_open) {
  UNUSED_SELF;
  struct path path;
  int flags, mode;
  if (!take_path(ctx, argv[0], &path) || !take_int(ctx, argv[1], &flags) || !take_int(ctx, argv[2], &mode))
    return JS_EXCEPTION;
  return number_or_throw(ctx, open(path.text, flags | O_CLOEXEC, (mode_t)mode), "open", path.text);
}

HOST_FUNCTION(host_close) {
  UNUSED_SELF;
  int fd;
  if (!take_int(ctx, argv[0], &fd)) return JS_EXCEPTION;
  return done_or_throw(ctx, close(fd), "close", NULL);
}

/* -2 when nothing came in time. */
static ssize_t read_once(int fd, void *into, size_t capacity, int64_t deadline) {
  for (;;) {
    /* A regular file is always ready; a terminal or a pipe may be emptied by another between poll and read. */
    int ready = wait_fd(fd, POLLIN, deadline);
    if (ready < 0) return -1;
    if (ready == 0) return -2;
    ssize_t n = read(fd, into, capacity);
    if (n >= 0 || (errno != EINTR && errno != EAGAIN)) return n;
  }
}

HOST_FUNCTION(host_read) {
  UNUSED_SELF;
  int fd;
  int64_t most, timeout;
  if (!take_int(ctx, argv[0], &fd) || !take_int64(ctx, argv[1], &most) || !take_int64(ctx, argv[2], &timeout))
    return JS_EXCEPTION;
  if (most < 0 || most > READ_MOST) return throw_errno(ctx, EINVAL, "read", NULL);
  char small[16384], *into = most > (int64_t)sizeof small ? malloc((size_t)most) : small;
  if (into == NULL) return JS_ThrowOutOfMemory(ctx);
  ssize_t n = read_once(fd, into, (size_t)most, deadline_after(timeout));
  JSValue result = n == -2 ? JS_UNDEFINED : n < 0 ? throw_errno(ctx, errno, "read", NULL) : make_bytes(ctx, into, (size_t)n);
  if (into != small) free(into);
  return result;
}

HOST_FUNCTION(host_write) {
  UNUSED_SELF;
  int fd;
  if (!take_int(ctx, argv[0], &fd)) return JS_EXCEPTION;
  if (JS_IsString(argv[1])) {
    size_t length;
    const char *text = JS_ToCStringLen(ctx, &length, argv[1]);
    if (text == NULL) return JS_EXCEPTION;
    JSValue result = done_or_throw(ctx, write_fully(fd, text, length), "write", NULL);
    JS_FreeCString(ctx, text);
    return result;
  }
  struct bytes bytes;
  if (!take_bytes(ctx, argv[1], &bytes)) return JS_EXCEPTION;
  return done_or_throw(ctx, write_fully(fd, bytes.data, bytes.length), "write", NULL);
}

HOST_FUNCTION(host_write_some) {
  UNUSED_SELF;
  int fd;
  struct bytes bytes;
  if (!take_int(ctx, argv[0], &fd) || !take_bytes(ctx, argv[1], &bytes)) return JS_EXCEPTION;
  ssize_t n;
  do n = write(fd, bytes.data, bytes.length);
  while (n < 0 && errno == EINTR);
  return n < 0 && errno == EAGAIN ? JS_NewInt32(ctx, 0) : number_or_throw(ctx, n, "write", NULL);
}

HOST_FUNCTION(host_set_non_blocking) {
  UNUSED_SELF;
  int fd;
  if (!take_int(ctx, argv[0], &fd)) return JS_EXCEPTION;
  int flags = fcntl(fd, F_GETFL);
  return done_or_throw(ctx, flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl", NULL);
}

/* flock has no deadline of its own, so it is tried with growing pauses. */
HOST_FUNCTION(host_lock) {
  UNUSED_SELF;
  int fd;
  int64_t timeout;
  if (!take_int(ctx, argv[0], &fd) || !take_int64(ctx, argv[1], &timeout)) return JS_EXCEPTION;
  int64_t deadline = deadline_after(timeout);
  for (int64_t pause = LOCK_FIRST_US;; pause = pause * 2 > LOCK_LONGEST_US ? LOCK_LONGEST_US : pause * 2) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return JS_TRUE;
    if (errno != EWOULDBLOCK && errno != EINTR) return throw_errno(ctx, errno, "flock", NULL);
    if (remaining_ms(deadline) == 0) return JS_FALSE;
    sleep_us(pause);
  }
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("open", 3, host_open),   JS_CFUNC_DEF("close", 1, host_close), JS_CFUNC_DEF("read", 3, host_read),
    JS_CFUNC_DEF("write", 2, host_write), JS_CFUNC_DEF("lock", 2, host_lock),   JS_CFUNC_DEF("writeSome", 2, host_write_some),
    JS_CFUNC_DEF("setNonBlocking", 1, host_set_non_blocking),
};
HOST_TABLE(host_file_table, entries);
