/* Unix sockets and the fds that pass through them. */
#include "host.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECT_SECONDS = 10, FDS_MOST = 16, MESSAGE_MOST = 4096 };

HOST_FUNCTION(host_socketpair) {
  UNUSED_SELF, (void)argv;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return throw_errno(ctx, errno, "socketpair", NULL);
  JSValue pair = JS_NewArray(ctx);
  for (uint32_t i = 0; i < 2; i++) JS_DefinePropertyValueUint32(ctx, pair, i, JS_NewInt32(ctx, ends[i]), JS_PROP_C_W_E);
  return pair;
}

/* An address holds 107 bytes: a longer path goes through an fd of the socket file. */
static int connect_path(int fd, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int file = -1;
  if (strlen(path) < sizeof address.sun_path) {
    strcpy(address.sun_path, path);
  } else {
    file = open(path, O_PATH | O_CLOEXEC);
    if (file < 0) return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", file);
  }
  int result, error;
  do result = connect(fd, (struct sockaddr *)&address, sizeof address);
  while (result != 0 && errno == EINTR);
  error = errno;
  if (file >= 0) close(file);
  return errno = error, result;
}

static JSValue connect_as(JSContext *ctx, JSValueConst where, int type) {
  struct path path;
  if (!take_path(ctx, where, &path)) return JS_EXCEPTION;
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return throw_errno(ctx, errno, "socket", path.text);
  /* A listener whose queue is full would hold us: connect(2) keeps to the send time-out. */
  struct timeval limit = {.tv_sec = CONNECT_SECONDS}, none = {0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect_path(fd, path.text) != 0) {
    int error = errno == EAGAIN ? ETIMEDOUT : errno;
    close(fd);
    return throw_errno(ctx, error, "connect", path.text);
  }
  /* Datagrams keep the time-out: a receiver whose queue is full would hold each of them. */
  if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
  return JS_NewInt32(ctx, fd);
}

HOST_FUNCTION(host_connect) {
  UNUSED_SELF;
  return connect_as(ctx, argv[0], SOCK_STREAM);
}

HOST_FUNCTION(host_connect_datagram) {
  UNUSED_SELF;
  return connect_as(ctx, argv[0], SOCK_DGRAM);
}

/* A path too long for an address is named through an fd of its directory. */
static int bind_path(int fd, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char parent[HOST_PATH_MAX];
  int dir = -1;
  if (strlen(path) < sizeof address.sun_path) {
    strcpy(address.sun_path, path);
  } else {
    const char *slash = strrchr(path, '/');
    if (slash == NULL || strlen(slash) > 64) return errno = ENAMETOOLONG, -1;
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d%.64s", dir, slash);
  }
  int result = bind(fd, (struct sockaddr *)&address, sizeof address), error = errno;
  if (dir >= 0) close(dir);
  return errno = error, result;
}

HOST_FUNCTION(host_bind_datagram) {
  UNUSED_SELF;
  struct path path;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return throw_errno(ctx, errno, "socket", path.text);
  if (bind_path(fd, path.text) != 0 || chmod(path.text, 0777) != 0) {
    int error = errno;
    close(fd);
    return throw_errno(ctx, error, "bind", path.text);
  }
  return JS_NewInt32(ctx, fd);
}

static ssize_t send_message(int fd, const char *data, size_t length, const int *fds, int count) {
  union {
    char bytes[CMSG_SPACE(sizeof(int) * FDS_MOST)];
    struct cmsghdr align;
  } control = {{0}};
  struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)count);
  }
  ssize_t sent;
  do sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent;
}

HOST_FUNCTION(host_send_fds) {
  UNUSED_SELF;
  static int fds[HOST_MAX_FDS];
  int fd;
  size_t length;
  if (!take_int(ctx, argv[0], &fd)) return JS_EXCEPTION;
  int count = take_fds(ctx, argv[2], fds);
  if (count < 0) return JS_EXCEPTION;
  if (count > FDS_MOST) return throw_errno(ctx, E2BIG, "sendmsg", NULL);
  const char *data = JS_ToCStringLen(ctx, &length, argv[1]);
  if (data == NULL) return JS_EXCEPTION;
  ssize_t sent = send_message(fd, data, length, fds, count);
  JSValue result = sent < 0                  ? throw_errno(ctx, errno, "sendmsg", NULL)
                   : (size_t)sent != length ? throw_errno(ctx, EMSGSIZE, "sendmsg", NULL)
                                            : JS_UNDEFINED;
  JS_FreeCString(ctx, data);
  return result;
}

/* The first fd of a message; further ones are closed. */
static int first_fd(struct msghdr *message) {
  int first = -1;
  for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
      if (first < 0) {
        first = fd;
      } else {
        close(fd);
      }
    }
  }
  return first;
}

HOST_FUNCTION(host_receive_fd) {
  UNUSED_SELF;
  int fd;
  int64_t timeout;
  if (!take_int(ctx, argv[0], &fd) || !take_int64(ctx, argv[1], &timeout)) return JS_EXCEPTION;
  int ready = wait_fd(fd, POLLIN, deadline_after(timeout));
  if (ready < 0) return throw_errno(ctx, errno, "poll", NULL);
  if (ready == 0) return JS_UNDEFINED;
  char data[MESSAGE_MOST];
  union {
    char bytes[CMSG_SPACE(sizeof(int) * FDS_MOST)];
    struct cmsghdr align;
  } control;
  struct iovec part = {.iov_base = data, .iov_len = sizeof data};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t length;
  do length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  while (length < 0 && errno == EINTR);
  if (length < 0) return throw_errno(ctx, errno, "recvmsg", NULL);
  JSValue result = JS_NewObject(ctx);
  set_member(ctx, result, "data", JS_NewStringLen(ctx, data, (size_t)length));
  set_member(ctx, result, "fd", JS_NewInt32(ctx, first_fd(&message)));
  return result;
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("socketpair", 0, host_socketpair),
    JS_CFUNC_DEF("connect", 1, host_connect),
    JS_CFUNC_DEF("connectDatagram", 1, host_connect_datagram),
    JS_CFUNC_DEF("bindDatagram", 1, host_bind_datagram),
    JS_CFUNC_DEF("sendFds", 3, host_send_fds),
    JS_CFUNC_DEF("receiveFd", 2, host_receive_fd),
};
HOST_TABLE(host_socket_table, entries);
