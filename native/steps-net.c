/* netlink: messages that TypeScript built, sent as they are; every acknowledgement is awaited. */
#include "steps.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ACK_SECONDS = 5, SOCKETS = 4, RECEIVE_BYTES = 4 << 20 };

/* One socket a protocol. */
static struct {
  int fd;
  u32 protocol;
} sockets[SOCKETS];
static u32 used_sockets, sequence;

static int open_socket(u32 protocol) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)protocol);
  if (fd < 0) return -errno;
  struct timeval limit = {.tv_sec = ACK_SECONDS};
  int on = 1, size = RECEIVE_BYTES;
  /* Only the time limit matters; the others save memory, or take bigger batches where they are known. */
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) ||
      bind(fd, (struct sockaddr *)&address, sizeof address)) {
    int result = -errno;
    close(fd);
    return result;
  }
  return fd;
}

void netlink_forget(void) {
  while (used_sockets) close(sockets[--used_sockets].fd);
}

static int socket_of(u32 protocol) {
  for (u32 i = 0; i < used_sockets; i++)
    if (sockets[i].protocol == protocol) return sockets[i].fd;
  if (used_sockets == SOCKETS) return -EMFILE;
  int fd = open_socket(protocol);
  if (fd < 0) return fd;
  sockets[used_sockets].fd = fd;
  sockets[used_sockets++].protocol = protocol;
  return fd;
}

/* Numbers the messages and counts the acknowledgements to come. Lengths are hostile: each is checked against the rest. */
static int number_messages(struct netlink_item *item, u32 *first, u32 *acks) {
  u32 offset = 0, count = 0;
  *first = sequence + 1;
  *acks = 0;
  while (item->length - offset >= NLMSG_HDRLEN) {
    u8 *header = item->message + offset;
    u32 length = load32(header);
    if (length < NLMSG_HDRLEN || length > item->length - offset) return -EINVAL;
    bool only = !offset && NLMSG_ALIGN((size_t)length) >= item->length;
    u16 flags = (u16)(load16(header + 6) | (only ? NLM_F_REQUEST | NLM_F_ACK : 0));
    header[6] = (u8)flags;
    header[7] = (u8)(flags >> 8);
    store32(header + 8, ++sequence);
    *acks += (flags & NLM_F_ACK) != 0;
    count++;
    size_t next = offset + NLMSG_ALIGN((size_t)length);
    offset = next > item->length ? item->length : (u32)next;
  }
  return count && offset == item->length ? 0 : -EINVAL;
}

/* Takes what one datagram says: lowers *acks, returns the first error it reports. */
static int read_answers(const u8 *bytes, size_t length, u32 first, u32 *acks) {
  while (length >= NLMSG_HDRLEN) {
    u32 size = load32(bytes), number = load32(bytes + 8);
    if (size < NLMSG_HDRLEN || size > length) return -EPROTO;
    /* Older numbers are late answers to a step that failed and was optional. */
    if (load16(bytes + 4) == NLMSG_ERROR && size >= NLMSG_HDRLEN + 4 && number - first <= sequence - first) {
      i32 error = (i32)load32(bytes + NLMSG_HDRLEN);
      if (error) return error;
      if (*acks) --*acks;
    }
    size_t step = NLMSG_ALIGN((size_t)size);
    if (step > length) step = length;
    bytes += step;
    length -= step;
  }
  return 0;
}

static int await_answers(int fd, u32 first, u32 acks) {
  static u8 buffer[8192];
  while (acks) {
    struct sockaddr_nl from;
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
    if (size != sizeof from || from.nl_pid) continue; /* only the kernel is believed */
    int result = read_answers(buffer, (size_t)n, first, &acks);
    if (result) return result;
  }
  return 0;
}

static int exchange(struct run *run, int fd, struct netlink_item *item) {
  u32 first, acks;
  if (item->pid_offset != NO_STEP) {
    if (run->child <= 0) return -ESRCH;
    store32(item->message + item->pid_offset, (u32)run->child);
  }
  int result = number_messages(item, &first, &acks);
  if (result) return result;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t n;
  do n = sendto(fd, item->message, item->length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
  return await_answers(fd, first, acks);
}

int step_netlink(struct run *run, const struct arg *a) {
  int fd = socket_of((u32)a[0].number);
  if (fd < 0) return fail(-fd, "netlink socket", NULL);
  const u8 *cursor = a[1].bytes;
  for (u32 i = 0; i < a[1].count; i++) {
    struct netlink_item item = next_message(&cursor);
    int result = exchange(run, fd, &item);
    if (result) return fail(-result, item.description, NULL);
  }
  return 0;
}
