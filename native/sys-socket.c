/* Sockets and terminals: pairs, ports that are held, passed fds, peer credentials, window sizes, output as it is. */
#include "sys.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

enum { MAX_PASSED_FDS = 253 /* SCM_MAX_FD */ };

static napi_value sys_socketpair(napi_env env, napi_callback_info info) {
  (void)info;
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return throw_errno(env, errno, "socketpair", NULL);
  if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) {
    int error = errno;
    close(fds[0]);
    close(fds[1]);
    return throw_errno(env, error, "fcntl", NULL);
  }
  napi_value pair;
  if (napi_create_array_with_length(env, 2, &pair) != napi_ok) return NULL;
  napi_set_element(env, pair, 0, make_int(env, fds[0]));
  napi_set_element(env, pair, 1, make_int(env, fds[1]));
  return pair;
}

static napi_value sys_close(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0);
  if (failed(&call)) return NULL;
  return done_or_throw(env, close(fd), "close", NULL);
}

static napi_value sys_dup(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0);
  if (failed(&call)) return NULL;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return copy < 0 ? throw_errno(env, errno, "dup", NULL) : make_int(env, copy);
}

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* The socket address of a numeric IPv4 or IPv6 text; its length, or 0 when it is neither. */
static socklen_t parse_address(const char *text, uint16_t port, union address *address) {
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons(port);
    return sizeof address->v4;
  }
  if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1) {
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(port);
    return sizeof address->v6;
  }
  return 0;
}

/*
 * No SO_REUSEADDR: with it, two sockets that do not listen could hold one TCP port. No listen: nobody can connect to the
 * socket itself.
 */
static int open_port(int type, const union address *address, socklen_t length) {
  int fd = socket(address->any.sa_family, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int on = 1;
  if ((address->any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
      bind(fd, &address->any, length) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

static napi_value sys_bind_port(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char protocol[8], text[INET6_ADDRSTRLEN];
  take_string(&call, 0, protocol, sizeof protocol);
  take_string(&call, 1, text, sizeof text);
  uint32_t port = take_uint(&call, 2);
  if (failed(&call)) return NULL;
  bool tcp = strcmp(protocol, "tcp") == 0;
  union address address;
  socklen_t length = port > UINT16_MAX ? 0 : parse_address(text, (uint16_t)port, &address);
  if (length == 0 || (!tcp && strcmp(protocol, "udp") != 0)) return throw_errno(env, EINVAL, "bind", text);
  int fd = open_port(tcp ? SOCK_STREAM : SOCK_DGRAM, &address, length);
  if (fd < 0) return throw_errno(env, -fd, "bind", text);
  if (getsockname(fd, &address.any, &length) != 0) {
    int error = errno;
    close(fd);
    return throw_errno(env, error, "getsockname", text);
  }
  napi_value result;
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  /* Both families have the port in the same place. */
  set_field(env, result, "fd", make_int(env, fd));
  set_field(env, result, "port", make_int(env, ntohs(address.v4.sin_port)));
  return result;
}

static napi_value sys_if_name_to_index(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char name[256];
  take_string(&call, 0, name, sizeof name);
  if (failed(&call)) return NULL;
  return make_int(env, if_nametoindex(name));
}

static napi_value sys_window_size(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0);
  if (failed(&call)) return NULL;
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) return throw_errno(env, errno, "ioctl", NULL);
  napi_value result;
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  set_field(env, result, "rows", make_int(env, size.ws_row));
  set_field(env, result, "cols", make_int(env, size.ws_col));
  return result;
}

static napi_value sys_set_window_size(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0);
  uint32_t rows = take_uint(&call, 1), cols = take_uint(&call, 2);
  if (failed(&call)) return NULL;
  if (rows > UINT16_MAX || cols > UINT16_MAX) return throw_errno(env, EINVAL, "ioctl", NULL);
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};
  return done_or_throw(env, ioctl(fd, TIOCSWINSZ, &size), "ioctl", NULL);
}

static napi_value sys_pass_output(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0);
  if (failed(&call)) return NULL;
  struct termios mode;
  if (tcgetattr(fd, &mode) != 0) return throw_errno(env, errno, "tcgetattr", NULL);
  mode.c_oflag &= ~(tcflag_t)OPOST;
  return done_or_throw(env, tcsetattr(fd, TCSADRAIN, &mode), "tcsetattr", NULL);
}

static napi_value sys_peer_credentials(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0);
  if (failed(&call)) return NULL;
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return throw_errno(env, errno, "getsockopt", NULL);
  napi_value result;
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  set_field(env, result, "pid", make_int(env, peer.pid));
  set_field(env, result, "uid", make_int(env, peer.uid));
  set_field(env, result, "gid", make_int(env, peer.gid));
  return result;
}

union fd_message {
  struct cmsghdr header;
  char space[CMSG_SPACE(sizeof(int) * MAX_PASSED_FDS)];
};

static napi_value sys_send_fds(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int socket_fd = take_int(&call, 0);
  if (failed(&call)) return NULL;
  uint32_t count = 0;
  if (napi_get_array_length(env, call.argument[1], &count) != napi_ok || count == 0 || count > MAX_PASSED_FDS)
    return throw_errno(env, EINVAL, "sendmsg", NULL);
  union fd_message control;
  memset(&control, 0, sizeof control);
  control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int) * count), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  for (uint32_t i = 0; i < count; i++) {
    napi_value item;
    int fd = -1;
    if (napi_get_element(env, call.argument[1], i, &item) != napi_ok || napi_get_value_int32(env, item, &fd) != napi_ok)
      return throw_errno(env, EINVAL, "sendmsg", NULL);
    memcpy(CMSG_DATA(&control.header) + sizeof(int) * i, &fd, sizeof fd);
  }
  char byte = 0;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
  ssize_t sent;
  do sent = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return done_or_throw(env, sent < 0 ? -1 : 0, "sendmsg", NULL);
}

static void close_all(const int *fds, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) close(fds[i]);
}

/* Collects every fd of a received message, also those of a second control message. */
static uint32_t collect_fds(struct msghdr *message, int *fds) {
  uint32_t count = 0;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    uint32_t here = (uint32_t)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds + count, CMSG_DATA(part), sizeof(int) * here);
    count += here;
  }
  return count;
}

static napi_value sys_receive_fds(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int socket_fd = take_int(&call, 0);
  uint32_t max = take_uint(&call, 1);
  if (failed(&call)) return NULL;
  union fd_message control;
  char byte = 0;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t received;
  do received = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
  while (received < 0 && errno == EINTR);
  if (received < 0) return throw_errno(env, errno, "recvmsg", NULL);
  int fds[MAX_PASSED_FDS];
  uint32_t count = collect_fds(&message, fds);
  napi_value list;
  if (count > max || (message.msg_flags & MSG_CTRUNC) != 0 || napi_create_array(env, &list) != napi_ok) {
    close_all(fds, count);
    return throw_errno(env, EMSGSIZE, "recvmsg", NULL);
  }
  for (uint32_t i = 0; i < count; i++) napi_set_element(env, list, i, make_int(env, fds[i]));
  return list;
}

const struct sys_function sys_socket_functions[] = {
    {"socketpair", sys_socketpair},
    {"close", sys_close},
    {"dup", sys_dup},
    {"bindPort", sys_bind_port},
    {"ifNameToIndex", sys_if_name_to_index},
    {"windowSize", sys_window_size},
    {"setWindowSize", sys_set_window_size},
    {"passOutput", sys_pass_output},
    {"peerCredentials", sys_peer_credentials},
    {"sendFds", sys_send_fds},
    {"receiveFds", sys_receive_fds},
    {NULL, NULL},
};
