/* Netlink sockets: open (here or in another network namespace) and one bounded exchange. */
#include "sys.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  SOCKET_BUFFER_BYTES = 8 * 1024 * 1024,
  DATAGRAM_BYTES = 256 * 1024,
  MAX_REPLY_BYTES = 64 * 1024 * 1024,
  TIMEOUT_SECONDS = 5,
};

/* A bound socket, or a negative errno. Callable from any thread. */
static int open_socket(int protocol) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return -errno;
  struct sockaddr_nl self = {.nl_family = AF_NETLINK};
  if (bind(fd, (struct sockaddr *)&self, sizeof self) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  int on = 1, size = SOCKET_BUFFER_BYTES;
  struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  /* Large batches and their many acks; without CAP_NET_ADMIN the defaults stay, which only limits the batch. */
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  /* Error texts in acks, requests not echoed there, filters in dump requests: each is absent on old kernels only. */
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return fd;
}

static napi_value sys_netlink_open(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int protocol = take_int(&call, 0);
  if (failed(&call)) return NULL;
  int fd = open_socket(protocol);
  return fd < 0 ? throw_errno(env, -fd, "socket", NULL) : make_int(env, fd);
}

struct namespace_job {
  const char *path;
  int protocol;
  int fd;
  const char *step;
};

/* Runs on a thread of its own, which ends in the foreign namespace: no other thread of the process ever is in it. */
static void *open_in_namespace(void *argument) {
  struct namespace_job *job = argument;
  job->step = "open";
  int namespace_fd = open(job->path, O_RDONLY | O_CLOEXEC);
  if (namespace_fd < 0) {
    job->fd = -errno;
    return NULL;
  }
  job->step = "setns";
  if (setns(namespace_fd, CLONE_NEWNET) != 0) {
    job->fd = -errno;
  } else {
    job->step = "socket";
    job->fd = open_socket(job->protocol);
  }
  close(namespace_fd);
  return NULL;
}

static napi_value sys_netlink_open_at(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int protocol = take_int(&call, 0);
  char path[SYS_PATH_MAX];
  take_string(&call, 1, path, sizeof path);
  if (failed(&call)) return NULL;
  struct namespace_job job = {.path = path, .protocol = protocol, .fd = -EIO, .step = "pthread_create"};
  pthread_t thread;
  int error = pthread_create(&thread, NULL, open_in_namespace, &job);
  if (error != 0) return throw_errno(env, error, job.step, path);
  pthread_join(thread, NULL);
  return job.fd < 0 ? throw_errno(env, -job.fd, job.step, path) : make_int(env, job.fd);
}

struct tally {
  uint32_t acks;
  bool error;
};

/* Counts the messages of a datagram that end something: acks, errors, ends of dumps. */
static void count_answers(const uint8_t *datagram, size_t length, struct tally *tally) {
  const struct nlmsghdr *message = (const struct nlmsghdr *)datagram;
  unsigned left = (unsigned)length;
  for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
    if (message->nlmsg_type == NLMSG_DONE) tally->acks++;
    if (message->nlmsg_type != NLMSG_ERROR) continue;
    tally->acks++;
    const struct nlmsgerr *answer = NLMSG_DATA(message);
    if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) && answer->error != 0) tally->error = true;
  }
}

/* Drops what an earlier exchange, that ended in a timeout, left behind. */
static void drain(int fd, uint8_t *buffer) {
  while (recv(fd, buffer, DATAGRAM_BYTES, MSG_DONTWAIT) > 0) {
  }
}

/*
 * Reads until all acks are there. The kernel queues all answers before sendmsg returns (dumps: before recvmsg returns), so
 * after an error what is queued is all that will come, and it is taken without waiting.
 */
static napi_value receive_answers(napi_env env, int fd, uint32_t expected, uint8_t *buffer) {
  napi_value list;
  if (napi_create_array(env, &list) != napi_ok) return NULL;
  struct tally tally = {0};
  size_t total = 0;
  for (uint32_t index = 0; tally.acks < expected || tally.error;) {
    ssize_t length = recv(fd, buffer, DATAGRAM_BYTES, MSG_TRUNC | (tally.error ? MSG_DONTWAIT : 0));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == EAGAIN && tally.error) break;
    if (length < 0) return throw_errno(env, errno == EAGAIN ? ETIMEDOUT : errno, "recv", "netlink");
    if (length > DATAGRAM_BYTES) return throw_errno(env, EMSGSIZE, "recv", "netlink");
    total += (size_t)length;
    if (total > MAX_REPLY_BYTES) return throw_errno(env, EMSGSIZE, "recv", "netlink");
    count_answers(buffer, (size_t)length, &tally);
    napi_value datagram = make_bytes(env, buffer, (size_t)length);
    if (datagram == NULL || napi_set_element(env, list, index++, datagram) != napi_ok) return NULL;
  }
  return list;
}

static napi_value sys_netlink_exchange(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0);
  struct bytes request = take_bytes(&call, 1);
  uint32_t expected = take_uint(&call, 2);
  if (failed(&call)) return NULL;
  uint8_t *buffer = malloc(DATAGRAM_BYTES);
  if (buffer == NULL) return throw_errno(env, ENOMEM, "netlinkExchange", NULL);
  drain(fd, buffer);
  ssize_t sent;
  do sent = send(fd, request.data, request.length, 0);
  while (sent < 0 && errno == EINTR);
  napi_value result = sent < 0 ? throw_errno(env, errno == EAGAIN ? ETIMEDOUT : errno, "send", "netlink")
                               : receive_answers(env, fd, expected, buffer);
  free(buffer);
  return result;
}

const struct sys_function sys_netlink_functions[] = {
    {"netlinkOpen", sys_netlink_open},
    {"netlinkOpenAt", sys_netlink_open_at},
    {"netlinkExchange", sys_netlink_exchange},
    {NULL, NULL},
};
