#include "connections.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef STALL_MS
#define STALL_MS 60000 /* a client that takes nothing for so long while its buffer is full is dropped */
#endif

enum {
  HELLO_MS = 10000,
  FRAME_HEADER = 8,
  MAX_PAYLOAD = 65536,
  MAX_COMMAND = 256, /* payload of a frame that is not stdin */
  INPUT_BYTES = 16384,
  FULL_BYTES = 256 << 10,
  /* Beyond FULL_BYTES no output is read; what is still added is one batch of each stream and a few small frames. */
  OUTPUT_BYTES = FULL_BYTES + 3 * (MAX_PAYLOAD + FRAME_HEADER) + 4096,
};

struct connection {
  int fd; /* -1: free slot */
  u8 kind, streams;
  bool input_ended, blocked; /* blocked: stdin's pipe is full */
  u32 input_length, stdin_left;
  u8 *output; /* NULL while nothing waits */
  u32 output_start, output_end;
  i64 hello_deadline, progress_ms;
};

static struct connection connections[MAX_CONNECTIONS];
/* Apart from the structs, so that looking at all slots touches none of these pages. */
static u8 inputs[MAX_CONNECTIONS][INPUT_BYTES];
static int epoll_fd = -1, top; /* slots from `top` on are free */
static const struct connection_events *owner;

void connections_begin(int epoll, const struct connection_events *events) {
  epoll_fd = epoll;
  owner = events;
}

static u32 waiting(const struct connection *c) { return c->output_end - c->output_start; }
static bool is_full(const struct connection *c) { return c->fd >= 0 && waiting(c) >= FULL_BYTES; }

/* ---- life ---- */

static void watch(int slot, int operation) {
  struct connection *c = &connections[slot];
  struct epoll_event event = {.data.u64 = CONNECTION_DATA | (u32)slot};
  if (!c->input_ended && !c->blocked) event.events |= EPOLLIN;
  if (waiting(c)) event.events |= EPOLLOUT;
  epoll_ctl(epoll_fd, operation, c->fd, &event);
}

static void end_input(struct connection *c) {
  if (c->input_ended) return;
  c->input_ended = true;
  if (c->kind == CONNECTION_ATTACH && c->streams & WANTS_STDIN) owner->input_end();
}

static void release_output(struct connection *c) {
  if (c->output) munmap(c->output, OUTPUT_BYTES);
  c->output = NULL;
  c->output_start = c->output_end = 0;
}

static void close_connection(int slot) {
  struct connection *c = &connections[slot];
  if (c->fd < 0) return;
  /* Unread input would turn the peer's end of file into ECONNRESET; bounded, since the peer is not obliged to stop. */
  shutdown(c->fd, SHUT_RDWR);
  for (int i = 0; i < 64 && recv(c->fd, inputs[slot], INPUT_BYTES, MSG_DONTWAIT) > 0; i++) {}
  close(c->fd); /* also leaves the epoll set: nobody else holds this socket's description */
  c->fd = -1;
  release_output(c);
  while (top && connections[top - 1].fd < 0) top--;
  end_input(c);
}

int connection_add(int fd, enum connection_kind kind, u8 streams) {
  int slot = 0;
  while (slot < top && connections[slot].fd >= 0) slot++;
  if (slot == MAX_CONNECTIONS) {
    close(fd);
    return -EMFILE;
  }
  if (slot == top) top++;
  connections[slot] = (struct connection){.fd = fd, .kind = (u8)kind, .streams = streams};
  if (kind == CONNECTION_NEW) connections[slot].hello_deadline = now_ms() + HELLO_MS;
  watch(slot, EPOLL_CTL_ADD);
  return slot;
}

void connections_accept(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    struct ucred peer;
    socklen_t size = sizeof peer;
    /* The socket's mode and directory keep others away; this holds when someone loosened them. */
    bool trusted = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && (peer.uid == 0 || peer.uid == geteuid());
    if (trusted) connection_add(fd, CONNECTION_NEW, 0);
    else close(fd);
  }
}

void connections_close_all(void) {
  for (int slot = 0; slot < MAX_CONNECTIONS && slot < top; slot++) close_connection(slot);
}

/* ---- output ---- */

static void keep(struct connection *c, const void *bytes, size_t length) {
  if (!length) return;
  if (!c->output) {
    void *memory = mmap(NULL, OUTPUT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      shutdown(c->fd, SHUT_RDWR); /* a part of a frame must not be missing: its end comes by EPOLLHUP */
      return;
    }
    c->output = memory;
    c->progress_ms = now_ms();
  }
  if (c->output_end + length > OUTPUT_BYTES) {
    memmove(c->output, c->output + c->output_start, waiting(c));
    c->output_end -= c->output_start;
    c->output_start = 0;
  }
  if (c->output_end + length > OUTPUT_BYTES) {
    shutdown(c->fd, SHUT_RDWR); /* a client that asks (SIGNAL, HELLO) without ever reading */
    return;
  }
  memcpy(c->output + c->output_end, bytes, length);
  c->output_end += (u32)length;
}

void connection_send(int slot, enum frame type, const u8 *payload, u32 length) {
  struct connection *c = &connections[slot];
  u8 header[FRAME_HEADER] = {(u8)type, 0, 0, 0, (u8)(length >> 24), (u8)(length >> 16), (u8)(length >> 8), (u8)length};
  if (c->fd < 0) return;
  size_t sent = 0;
  bool waited = waiting(c) > 0;
  if (!waited) {
    struct iovec parts[2] = {{header, sizeof header}, {(void *)(uintptr_t)payload, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = length ? 2 : 1};
    ssize_t n = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) return close_connection(slot);
    sent = n > 0 ? (size_t)n : 0;
    if (sent == sizeof header + length) return;
  }
  if (sent < sizeof header) keep(c, header + sent, sizeof header - sent);
  size_t done = sent > sizeof header ? sent - sizeof header : 0;
  keep(c, payload + done, length - done);
  if (!waited && waiting(c)) watch(slot, EPOLL_CTL_MOD);
}

void connections_output(enum frame type, const u8 *payload, u32 length) {
  for (int slot = 0; slot < top; slot++) {
    struct connection *c = &connections[slot];
    if (c->fd >= 0 && c->kind == CONNECTION_ATTACH && c->streams & 1u << type) connection_send(slot, type, payload, length);
  }
}

void connections_broadcast(enum frame type, const u8 *payload, u32 length, bool attach, bool control) {
  for (int slot = 0; slot < top; slot++) {
    struct connection *c = &connections[slot];
    if (c->fd < 0 || c->kind == CONNECTION_NEW) continue;
    if (c->kind == CONNECTION_ATTACH ? attach : control) connection_send(slot, type, payload, length);
  }
}

static void send_waiting(int slot) {
  struct connection *c = &connections[slot];
  while (waiting(c)) {
    ssize_t n = send(c->fd, c->output + c->output_start, waiting(c), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)) return;
    if (n < 0) return close_connection(slot);
    c->output_start += (u32)n;
    c->progress_ms = now_ms();
  }
  release_output(c);
  watch(slot, EPOLL_CTL_MOD);
}

bool connections_full(void) {
  for (int slot = 0; slot < top; slot++)
    if (is_full(&connections[slot])) return true;
  return false;
}

bool connections_pending(void) {
  for (int slot = 0; slot < top; slot++)
    if (connections[slot].fd >= 0 && waiting(&connections[slot])) return true;
  return false;
}

void connections_drop_full(void) {
  for (int slot = 0; slot < top; slot++)
    if (is_full(&connections[slot])) close_connection(slot);
}

/* ---- time ---- */

static i64 deadline_of(const struct connection *c) {
  if (c->fd < 0) return INT64_MAX;
  if (c->kind == CONNECTION_NEW) return c->hello_deadline;
  return is_full(c) ? c->progress_ms + STALL_MS : INT64_MAX;
}

i64 connections_deadline(void) {
  i64 earliest = INT64_MAX;
  for (int slot = 0; slot < top; slot++) {
    i64 deadline = deadline_of(&connections[slot]);
    if (deadline < earliest) earliest = deadline;
  }
  return earliest;
}

void connections_expire(i64 now) {
  for (int slot = 0; slot < top; slot++)
    if (deadline_of(&connections[slot]) <= now) close_connection(slot);
}

/* ---- input ---- */

void connection_refuse(int slot, const char *why) {
  u8 payload[128] = {0};
  size_t length = strlen(why);
  if (length > sizeof payload - 5) length = sizeof payload - 5;
  memcpy(store32(payload, (u32)length), why, length);
  connection_send(slot, FRAME_ERROR, payload, (u32)length + 5);
  close_connection(slot);
}

static void take_hello(int slot, const u8 *payload, u32 length) {
  struct connection *c = &connections[slot];
  if (length != 2) return connection_refuse(slot, "malformed HELLO");
  c->streams = payload[0] & 7;
  c->kind = c->streams ? CONNECTION_ATTACH : CONNECTION_CONTROL;
  if (c->kind == CONNECTION_CONTROL || payload[1]) owner->hello(slot);
}

/* Uses what stands at the front of the input; returns how much, 0 when more is needed or nothing more can be done. */
static size_t take_input(int slot, const u8 *bytes, size_t length) {
  struct connection *c = &connections[slot];
  if (c->stdin_left) {
    size_t n = length < c->stdin_left ? length : c->stdin_left;
    size_t taken = n ? owner->input(bytes, n) : 0;
    c->stdin_left -= (u32)taken;
    c->blocked = taken < n;
    return taken;
  }
  if (length < FRAME_HEADER) return 0;
  u32 size = (u32)bytes[4] << 24 | (u32)bytes[5] << 16 | (u32)bytes[6] << 8 | bytes[7];
  enum frame type = bytes[0];
  if (bytes[1] || bytes[2] || bytes[3] || size > MAX_PAYLOAD) return connection_refuse(slot, "malformed frame"), 0;
  if (c->kind == CONNECTION_NEW && type != FRAME_HELLO) return connection_refuse(slot, "HELLO was expected"), 0;
  if (type == FRAME_STDIN) {
    if (!(c->streams & WANTS_STDIN)) return connection_refuse(slot, "stdin on a connection without stdin"), 0;
    if (!size) owner->input_end();
    c->stdin_left = size;
    return FRAME_HEADER;
  }
  if (size > MAX_COMMAND) return connection_refuse(slot, "frame is too long"), 0;
  if (length < FRAME_HEADER + size) return 0;
  if (type == FRAME_HELLO) {
    if (c->kind != CONNECTION_NEW) return connection_refuse(slot, "second HELLO"), 0;
    take_hello(slot, bytes + FRAME_HEADER, size);
  } else {
    owner->command(slot, type, bytes + FRAME_HEADER, size);
  }
  return FRAME_HEADER + size;
}

static void use_input(int slot) {
  struct connection *c = &connections[slot];
  size_t used = 0, n;
  bool was_blocked = c->blocked;
  c->blocked = false;
  while (c->fd >= 0 && (n = take_input(slot, inputs[slot] + used, c->input_length - used))) {
    used += n;
    if (c->blocked) break;
  }
  if (c->fd < 0) return;
  c->input_length -= (u32)used;
  memmove(inputs[slot], inputs[slot] + used, c->input_length);
  if (c->blocked != was_blocked) watch(slot, EPOLL_CTL_MOD);
}

static void receive(int slot) {
  struct connection *c = &connections[slot];
  ssize_t n = recv(c->fd, inputs[slot] + c->input_length, INPUT_BYTES - c->input_length, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) {
    c->input_length += (u32)n;
    return use_input(slot);
  }
  /* An attached client that has only shut down its writing side still gets output; its going shows as EPOLLHUP. */
  if (n < 0 || c->kind != CONNECTION_ATTACH) return close_connection(slot);
  end_input(c);
  watch(slot, EPOLL_CTL_MOD);
}

void connection_event(int slot, u32 events) {
  struct connection *c = &connections[slot];
  if (slot >= top || c->fd < 0) return; /* closed by an earlier event of the same round */
  if (events & EPOLLOUT) send_waiting(slot);
  if (c->fd >= 0 && events & EPOLLIN && !c->blocked && !c->input_ended) receive(slot);
  else if (c->fd >= 0 && events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN)) close_connection(slot);
}

void connections_resume_input(void) {
  for (int slot = 0; slot < top; slot++)
    if (connections[slot].fd >= 0 && connections[slot].blocked) use_input(slot);
}
