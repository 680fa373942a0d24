/* Unix sockets by path, of any length. */
#include "monitor.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* A path too long for an address is named through its directory's fd, which the caller closes after use. */
static int address_of(const char *path, struct sockaddr_un *address, int *dir) {
  *dir = -1;
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  struct text text = {address->sun_path, sizeof address->sun_path, 0};
  text_add(&text, path);
  if (text.length == strlen(path)) return 0;
  char parent[PATH_MAX];
  const char *slash = strrchr(path, '/');
  if (!slash || (size_t)(slash - path) >= sizeof parent) return -ENAMETOOLONG;
  memcpy(parent, path, (size_t)(slash - path));
  parent[slash - path] = 0;
  if ((*dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) return -errno;
  text.length = 0;
  text_add(&text, "/proc/self/fd/");
  text_add_number(&text, (u64)*dir);
  text_add(&text, slash);
  return text.length + 1 < text.capacity ? 0 : -ENAMETOOLONG;
}

int listen_at(const char *path) {
  struct sockaddr_un address;
  int dir, result = address_of(path, &address, &dir);
  int fd = result ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (!result && fd < 0) result = -errno;
  if (!result) {
    unlink(path); /* of a monitor that was killed */
    mode_t before = umask(0177);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 128)) result = -errno;
    umask(before);
  }
  close_fd(&dir);
  if (!result) return fd;
  close_fd(&fd);
  return fail(-result, "listen at", path);
}

/* "fd:N": a socket that was handed over as fd N. */
static int fd_of(const char *path) {
  int fd = 0;
  if (strncmp(path, "fd:", 3)) return -1;
  for (const char *at = path + 3; *at >= '0' && *at <= '9' && fd < 1 << 20; at++) fd = fd * 10 + (*at - '0');
  return fd > 3 ? fd : -1;
}

static int connect_to(const char *path) {
  struct sockaddr_un address;
  int dir, fd = -1, result = address_of(path, &address, &dir);
  if (!result) fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (!result && (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))) result = -errno;
  close_fd(&dir);
  if (result) close_fd(&fd);
  return result ? result : fd;
}

/* The fd goes with the first byte. */
static int send_with(int fd, int passed, const char *bytes, size_t length) {
  struct iovec part = {(void *)(uintptr_t)bytes, length};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &passed, sizeof(int));
  while (part.iov_len) {
    ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    part.iov_base = (char *)part.iov_base + n;
    part.iov_len -= (size_t)n;
    message.msg_controllen = 0;
  }
  return 0;
}

int send_console(const char *path, int master) {
  int passed = fd_of(path), fd = passed < 0 ? connect_to(path) : passed;
  /* As runc does it: the name is the payload, the fd the control message. */
  int result = fd < 0 ? fd : send_with(fd, master, "/dev/ptmx", 9);
  close_fd(&fd);
  return result ? fail(-result, "send the console to", path) : 0;
}

int send_fd(const char *path, int passed, const void *bytes, size_t length) {
  struct timeval limit = {.tv_sec = 10};
  int fd = connect_to(path), result = fd < 0 ? fd : 0;
  if (!result) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (!result) result = send_with(fd, passed, bytes, length);
  close_fd(&fd);
  return result;
}
