/* Whole files: readFile, writeFile, replaceFile. */
#include "host.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_BYTES = 16 * 1024, FIFO_MS = 10000 };

/* `bytes` is `first` until that is too small. */
struct buffer {
  char first[FIRST_BYTES];
  char *bytes;
  size_t length, capacity;
};

static int grow(struct buffer *buffer, size_t most) {
  size_t capacity = buffer->capacity * 2 > most + 1 ? most + 1 : buffer->capacity * 2;
  bool moves = buffer->bytes == buffer->first;
  char *bytes = realloc(moves ? NULL : buffer->bytes, capacity);
  if (bytes == NULL) return errno = ENOMEM, -1;
  if (moves) memcpy(bytes, buffer->first, buffer->length);
  buffer->bytes = bytes;
  buffer->capacity = capacity;
  return 0;
}

/* One byte more than `most` is tried for, to tell a file of just that length from a longer one. `short_is_end`: a read that
 * gives less than was asked for is taken for the last one, which spares the read that gives nothing. */
static int read_all(int fd, struct buffer *buffer, size_t most, bool short_is_end) {
  int64_t deadline = deadline_after(FIFO_MS);
  for (;;) {
    if (buffer->length > most) return errno = EFBIG, -1;
    if (buffer->length == buffer->capacity && grow(buffer, most) != 0) return -1;
    size_t room = buffer->capacity - buffer->length;
    ssize_t n = read(fd, buffer->bytes + buffer->length, room);
    if (n == 0) return 0;
    if (n > 0) {
      buffer->length += (size_t)n;
      if (short_is_end && (size_t)n < room && buffer->length <= most) return 0;
    } else if (errno == EAGAIN) {
      int ready = wait_fd(fd, POLLIN, deadline);
      if (ready < 0) return -1;
      if (ready == 0) return errno = ETIMEDOUT, -1;
    } else if (errno != EINTR) {
      return -1;
    }
  }
}

/* O_NONBLOCK: a fifo that nobody writes to must not hold us. */
static JSValue read_file(JSContext *ctx, JSValueConst *argv, bool short_is_end) {
  struct path path;
  int64_t most;
  if (!take_path(ctx, argv[0], &path) || !take_int64(ctx, argv[1], &most)) return JS_EXCEPTION;
  if (most < 0 || most > INT32_MAX) return throw_errno(ctx, EINVAL, "read", path.text);
  int fd = open(path.text, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return throw_errno(ctx, errno, "open", path.text);
  struct buffer buffer;
  buffer.bytes = buffer.first;
  buffer.length = 0;
  buffer.capacity = FIRST_BYTES;
  JSValue result = read_all(fd, &buffer, (size_t)most, short_is_end) != 0 ? throw_errno(ctx, errno, "read", path.text)
                                                            : JS_NewStringLen(ctx, buffer.bytes, buffer.length);
  if (buffer.bytes != buffer.first) free(buffer.bytes);
  close(fd);
  return result;
}

HOST_FUNCTION(host_read_file) {
  UNUSED_SELF;
  return read_file(ctx, argv, false);
}

HOST_FUNCTION(host_read_small) {
  UNUSED_SELF;
  return read_file(ctx, argv, true);
}

/* 0, or an errno. One write: a kernel file takes its value whole. */
static int write_once(const char *path, int flags, mode_t mode, const char *text, size_t length) {
  int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | flags, mode);
  if (fd < 0) return errno;
  ssize_t written;
  do written = write(fd, text, length);
  while (written < 0 && errno == EINTR);
  int error = written < 0 ? errno : (size_t)written != length ? EIO : 0;
  if (close(fd) != 0 && error == 0) error = errno;
  return error;
}

HOST_FUNCTION(host_write_file) {
  UNUSED_SELF;
  struct path path;
  int flags, mode;
  if (!take_path(ctx, argv[0], &path) || !take_int(ctx, argv[2], &flags) || !take_int(ctx, argv[3], &mode))
    return JS_EXCEPTION;
  size_t length;
  const char *text = JS_ToCStringLen(ctx, &length, argv[1]);
  if (text == NULL) return JS_EXCEPTION;
  int error = write_once(path.text, flags, (mode_t)mode, text, length);
  JS_FreeCString(ctx, text);
  return error == 0 ? JS_UNDEFINED : throw_errno(ctx, error, "write", path.text);
}

/* Never a file that is there: in a directory of everybody's it would stay its maker's, and a fifo would hold us. What a
 * killed command has left hinders nobody. */
static int open_anew(const char *path, mode_t mode) {
  int fd, tries = 8;
  do fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  while (fd < 0 && errno == EEXIST && tries-- > 0 && unlink(path) == 0);
  return fd;
}

/* 0, or an errno; the new file is on the disk before it gets the name. */
static int write_synced(const char *path, mode_t mode, const char *text, size_t length) {
  int fd = open_anew(path, mode);
  if (fd < 0) return errno;
  int error = write_fully(fd, text, length) != 0 || fsync(fd) != 0 ? errno : 0;
  if (close(fd) != 0 && error == 0) error = errno;
  return error;
}

HOST_FUNCTION(host_replace_file) {
  UNUSED_SELF;
  struct path path;
  char beside[HOST_PATH_MAX + 8];
  int mode;
  if (!take_path(ctx, argv[0], &path) || !take_int(ctx, argv[2], &mode)) return JS_EXCEPTION;
  size_t length;
  const char *text = JS_ToCStringLen(ctx, &length, argv[1]);
  if (text == NULL) return JS_EXCEPTION;
  snprintf(beside, sizeof beside, "%s.tmp", path.text);
  int error = write_synced(beside, (mode_t)mode, text, length);
  JS_FreeCString(ctx, text);
  if (error == 0 && rename(beside, path.text) != 0) error = errno;
  if (error == 0) return JS_UNDEFINED;
  unlink(beside);
  return throw_errno(ctx, error, "write", path.text);
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("readFile", 2, host_read_file),
    JS_CFUNC_DEF("readSmall", 2, host_read_small),
    JS_CFUNC_DEF("writeFile", 4, host_write_file),
    JS_CFUNC_DEF("replaceFile", 3, host_replace_file),
};
HOST_TABLE(host_whole_file_table, entries);
