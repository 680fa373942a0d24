/* A network device of the host moves into the container's network namespace (runtime-spec config-linux.md, "Network
 * Devices"). The kernel takes its addresses away on that way: those of global scope that are permanent are read before and
 * set again there. The monitor enters the namespace for that and comes back. */
#include "steps.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ADDRESSES = 64, SECONDS = 5, REPLY = 16384 };

struct address {
  struct ifaddrmsg header;
  u8 local[16], peer[16];
  bool has_local, has_peer;
};

struct request {
  struct nlmsghdr header;
  union {
    struct ifinfomsg link;
    struct ifaddrmsg address;
  };
  u8 attributes[256];
};

static struct request begin(u16 type, u16 flags, size_t body) {
  return (struct request){.header = {.nlmsg_len = (u32)NLMSG_LENGTH(body), .nlmsg_type = type, .nlmsg_flags = (u16)(NLM_F_REQUEST | flags), .nlmsg_seq = 1}};
}

static void add_attribute(struct request *request, u16 type, const void *bytes, size_t length) {
  size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
  if (at + RTA_LENGTH(length) > sizeof *request) return;
  struct rtattr head = {.rta_len = (u16)RTA_LENGTH(length), .rta_type = type};
  memcpy((u8 *)request + at, &head, sizeof head);
  memcpy((u8 *)request + at + RTA_LENGTH(0), bytes, length);
  request->header.nlmsg_len = (u32)(at + RTA_LENGTH(length));
}

static int open_route(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return -errno;
  struct timeval limit = {.tv_sec = SECONDS};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

static int receive(int fd, u8 *reply, size_t capacity, size_t *length) {
  ssize_t n;
  do n = recv(fd, reply, capacity, 0);
  while (n < 0 && errno == EINTR);
  *length = n < 0 ? 0 : (size_t)n;
  return n < 0 ? (errno == EAGAIN ? -ETIMEDOUT : -errno) : 0;
}

/* Sends one request and waits for its acknowledgement. */
static int ask(int fd, struct request *request) {
  static u8 reply[REPLY];
  size_t length;
  request->header.nlmsg_flags |= NLM_F_ACK;
  if (send(fd, request, request->header.nlmsg_len, 0) < 0) return -errno;
  for (;;) {
    int result = receive(fd, reply, sizeof reply, &length);
    if (result) return result;
    if (length >= NLMSG_HDRLEN + 4 && load16(reply + 4) == NLMSG_ERROR) return (i32)load32(reply + NLMSG_HDRLEN);
  }
}

/* `bytes` is one RTM_NEWADDR. */
static void take_address(const u8 *bytes, size_t length, int index, struct address *found, u32 *count) {
  struct address one = {0};
  if (length < NLMSG_LENGTH(sizeof one.header) || *count == ADDRESSES) return;
  memcpy(&one.header, bytes + NLMSG_HDRLEN, sizeof one.header);
  u32 flags = one.header.ifa_flags;
  size_t at = NLMSG_LENGTH(sizeof one.header);
  while (at + sizeof(struct rtattr) <= length) {
    u16 size = load16(bytes + at), type = load16(bytes + at + 2);
    if (size < RTA_LENGTH(0) || size > length - at) break;
    const u8 *value = bytes + at + RTA_LENGTH(0);
    size_t room = size - RTA_LENGTH(0);
    if (type == IFA_FLAGS && room >= 4) flags = load32(value);
    if (type == IFA_LOCAL && room <= 16) memcpy(one.local, value, room), one.has_local = true;
    if (type == IFA_ADDRESS && room <= 16) memcpy(one.peer, value, room), one.has_peer = true;
    at += RTA_ALIGN((size_t)size);
  }
  if ((int)one.header.ifa_index != index || one.header.ifa_scope != RT_SCOPE_UNIVERSE || !(flags & IFA_F_PERMANENT)) return;
  found[(*count)++] = one;
}

static int read_addresses(int fd, int index, struct address *found, u32 *count) {
  static u8 reply[REPLY];
  struct request request = begin(RTM_GETADDR, NLM_F_DUMP, sizeof request.address);
  size_t length;
  if (send(fd, &request, request.header.nlmsg_len, 0) < 0) return -errno;
  for (;;) {
    int result = receive(fd, reply, sizeof reply, &length);
    if (result) return result;
    for (u8 *at = reply; length >= NLMSG_HDRLEN;) {
      size_t size = load32(at);
      if (size < NLMSG_HDRLEN || size > length) return -EPROTO;
      u16 type = load16(at + 4);
      if (type == NLMSG_DONE) return 0;
      if (type == NLMSG_ERROR) return (i32)load32(at + NLMSG_HDRLEN);
      if (type == RTM_NEWADDR) take_address(at, size, index, found, count);
      size = NLMSG_ALIGN(size) > length ? length : NLMSG_ALIGN(size);
      at += size;
      length -= size;
    }
  }
}

static int index_of(int fd, const char *name, bool up) {
  struct ifreq request = {0};
  struct text text = {request.ifr_name, sizeof request.ifr_name, 0};
  text_add(&text, name);
  int found = ioctl(fd, SIOCGIFINDEX, &request) ? -errno : request.ifr_ifindex;
  if (found < 0 || !up) return found;
  if (ioctl(fd, SIOCGIFFLAGS, &request)) return -errno;
  request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
  return ioctl(fd, SIOCSIFFLAGS, &request) ? -errno : found;
}

static int move(int fd, int index, int namespace, const char *name) {
  struct request request = begin(RTM_NEWLINK, 0, sizeof request.link);
  request.link.ifi_index = index;
  add_attribute(&request, IFLA_NET_NS_FD, &namespace, sizeof namespace);
  add_attribute(&request, IFLA_IFNAME, name, strlen(name) + 1);
  return ask(fd, &request);
}

/* Inside the namespace. The device goes up first: IPv6 addresses of one that is down are lost. */
static int settle(const char *name, const struct address *addresses, u32 count) {
  int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd = open_route();
  int index = datagram < 0 ? -errno : fd < 0 ? fd : index_of(datagram, name, true);
  int result = index < 0 ? index : 0;
  for (u32 i = 0; !result && i < count; i++) {
    struct request request = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof request.address);
    size_t size = addresses[i].header.ifa_family == AF_INET ? 4 : 16;
    request.address = addresses[i].header;
    request.address.ifa_index = (u32)index;
    if (addresses[i].has_local) add_attribute(&request, IFA_LOCAL, addresses[i].local, size);
    if (addresses[i].has_peer) add_attribute(&request, IFA_ADDRESS, addresses[i].peer, size);
    result = ask(fd, &request);
    if (result == -EEXIST) result = 0;
  }
  close_fd(&datagram);
  close_fd(&fd);
  return result;
}

static int open_namespace(const struct run *run, const char *path) {
  char own[48];
  struct text text = {own, sizeof own, 0};
  text_add(&text, "/proc/");
  text_add_number(&text, (u64)run->child);
  text_add(&text, "/ns/net");
  if (!*path && run->child <= 0) return -ESRCH;
  int fd = open(*path ? path : own, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

/* Enters the namespace, does the rest, and comes back: a monitor left in there would hold it. */
static int settle_inside(int namespace, const char *name, const struct address *addresses, u32 count) {
  int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home < 0) return -errno;
  int result = setns(namespace, CLONE_NEWNET) ? -errno : settle(name, addresses, count);
  if (setns(home, CLONE_NEWNET) && !result) result = -errno;
  close(home);
  return result;
}

int step_move_device(struct run *run, const struct arg *a) {
  static struct address addresses[ADDRESSES];
  u32 count = 0;
  int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd = open_route(), namespace = -1;
  int index = datagram < 0 ? -errno : fd < 0 ? fd : index_of(datagram, a[0].text, false);
  int result = index < 0 ? index : read_addresses(fd, index, addresses, &count);
  if (!result && (namespace = open_namespace(run, a[2].text)) < 0) result = namespace;
  if (!result) result = move(fd, index, namespace, a[1].text);
  if (!result) result = settle_inside(namespace, a[1].text, addresses, count);
  close_fd(&datagram);
  close_fd(&fd);
  close_fd(&namespace);
  return result ? fail(-result, NULL, a[0].text) : 0;
}
