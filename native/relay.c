#include "relay.h"

#include "connections.h"
#include "log.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BATCH = 65536, TERMINAL_DRAIN = 1 << 20 };

static struct {
  int epoll;
  int output[2], input; /* with a terminal output[0] and input are the same fd */
  bool terminal, closes_input, logs;
  bool reading, blocked; /* output is watched; input waits for room */
  i64 left[2];           /* when draining: bytes still to be taken */
} relay = {.output = {-1, -1}, .input = -1};

static u8 batch[BATCH];

static int make_pipe(int *read_end, int *write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return -errno;
  *read_end = ends[0];
  *write_end = ends[1];
  return 0;
}

int relay_prepare(struct run *run) {
  const struct options *options = &run->plan.options;
  if (options->terminal) return 0;
  int result = options->open_stdin ? make_pipe(&run->stdio[0], &run->ends[0]) : 0;
  if (!result) result = make_pipe(&run->ends[1], &run->stdio[1]);
  if (!result) result = make_pipe(&run->ends[2], &run->stdio[2]);
  return result ? fail(-result, "pipe", NULL) : 0;
}

/* ---- watching ---- */

/* An fd that is not watched at all is taken out: EPOLLHUP would come even with an empty mask. */
static void watch(int fd, u64 data, u32 events, bool was) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  if (fd >= 0 && (events || was)) epoll_ctl(relay.epoll, !events ? EPOLL_CTL_DEL : was ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

static void watch_all(bool reading, bool blocked) {
  u32 in = reading ? EPOLLIN : 0, out = blocked ? EPOLLOUT : 0;
  if (relay.terminal) {
    watch(relay.output[0], DATA_OUTPUT, in | out, relay.reading || relay.blocked);
  } else {
    if (reading != relay.reading)
      for (int i = 0; i < 2; i++) watch(relay.output[i], DATA_OUTPUT + (u64)i, in, relay.reading);
    if (blocked != relay.blocked) watch(relay.input, DATA_INPUT, out, relay.blocked);
  }
  relay.reading = reading;
  relay.blocked = blocked;
}

void relay_begin(struct run *run, int epoll) {
  const struct options *options = &run->plan.options;
  relay.epoll = epoll;
  relay.terminal = options->terminal;
  /* An exec (no socket) has one client: its end is the end of stdin. */
  relay.closes_input = options->stdin_once || !options->socket_path;
  relay.logs = options->log_path && !options->no_log;
  relay.output[0] = run->ends[1];
  relay.output[1] = run->ends[2];
  relay.input = relay.terminal ? run->ends[1] : run->ends[0];
  const int fds[] = {relay.output[0], relay.output[1], relay.input};
  /* The flag belongs to the monitor's end alone: the container's ends stay blocking. */
  for (size_t i = 0; i < COUNT(fds); i++)
    if (fds[i] >= 0) fcntl(fds[i], F_SETFL, O_NONBLOCK);
  watch_all(true, false);
}

void relay_adjust(void) {
  bool reading = !connections_full();
  if (reading != relay.reading) watch_all(reading, relay.blocked);
}

/* ---- output ---- */

static void close_output(int stream) {
  if (relay.terminal && stream == 0) relay.input = -1;
  close_fd(&relay.output[stream]); /* leaves the epoll set with its only descriptor */
}

/* Returns the bytes taken, 0 at the end (closed then), -EAGAIN. EIO is how a pty ends. */
static ssize_t take_output(int stream) {
  ssize_t n = read(relay.output[stream], batch, sizeof batch);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return -EAGAIN;
  if (n <= 0) {
    close_output(stream);
    return 0;
  }
  if (relay.logs) log_output(stream, batch, (size_t)n);
  connections_output(stream ? FRAME_STDERR : FRAME_STDOUT, batch, (u32)n);
  return n;
}

void relay_drain_begin(void) {
  watch_all(false, false);
  for (int i = 0; i < 2; i++) {
    int held = 0;
    if (relay.output[i] < 0) continue;
    /* What the process wrote is in the pipe now. A pty may hold some of it in a queue that FIONREAD does not see. */
    relay.left[i] = relay.terminal || ioctl(relay.output[i], FIONREAD, &held) ? TERMINAL_DRAIN : held;
  }
}

bool relay_drain(void) {
  for (int i = 0; i < 2; i++) {
    while (relay.output[i] >= 0 && relay.left[i] > 0) {
      if (connections_full()) return false;
      ssize_t n = take_output(i);
      if (n <= 0) break;
      relay.left[i] -= n;
    }
    if (relay.output[i] >= 0) close_output(i);
  }
  return true;
}

/* ---- input ---- */

void relay_close_input(void) {
  /* One half of a pty cannot be closed. */
  if (relay.terminal || relay.input < 0) return;
  if (relay.blocked) watch_all(relay.reading, false);
  close_fd(&relay.input);
  connections_resume_input(); /* what clients still send is thrown away */
}

void relay_input_end(void) {
  if (relay.closes_input) relay_close_input();
}

size_t relay_input(const u8 *bytes, size_t length) {
  size_t taken = 0;
  while (taken < length && relay.input >= 0) {
    ssize_t n = write(relay.input, bytes + taken, length - taken);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (!relay.blocked) watch_all(relay.reading, true);
      return taken;
    }
    if (n < 0) {
      /* EPIPE: nobody reads any more. A pty without a slave (EIO) may get one again. */
      if (!relay.terminal) relay_close_input();
      break;
    }
    taken += (size_t)n;
  }
  return length;
}

void relay_resize(u16 rows, u16 cols) {
  struct winsize size = {.ws_row = rows, .ws_col = cols};
  if (relay.terminal && relay.output[0] >= 0) ioctl(relay.output[0], TIOCSWINSZ, &size);
}

void relay_event(u64 data) {
  if (data == DATA_INPUT) {
    watch_all(relay.reading, false);
    return connections_resume_input();
  }
  int stream = (int)(data - DATA_OUTPUT);
  if (relay.terminal && relay.blocked) {
    watch_all(relay.reading, false);
    connections_resume_input();
  }
  if (relay.output[stream] >= 0 && relay.reading && !connections_full()) take_output(stream);
}
