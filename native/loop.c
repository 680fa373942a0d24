/* From STARTED to EXITED: one epoll set, no timers but the clients' deadlines. */
#include "connections.h"
#include "log.h"
#include "monitor.h"
#include "relay.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DATA_LISTENER = 1, DATA_CHILD = 2, DATA_SIGNAL = 3, EVENTS = 16, END_MS = 5000 };

static struct {
  struct run *run;
  int epoll, listener, signals;
  u64 oom_before;
  bool exited, reported; /* the process is reaped; `report` is complete and was told */
  struct exit_report report;
} loop;

/* The number behind "oom_kill " in memory.oom_control (v1) or memory.events (v2); 0 when it cannot be read. */
static u64 oom_kills(const struct run *run) {
  char content[1024];
  const char *path = run->plan.options.oom_path;
  if (!path || read_small(AT_FDCWD, path, content, sizeof content) < 0) return 0;
  for (const char *line = content; line; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, "oom_kill ", 9)) continue;
    u64 value = 0;
    for (line += 9; *line >= '0' && *line <= '9'; line++) value = value * 10 + (u64)(*line - '0');
    return value;
  }
  return 0;
}

/* ---- what clients ask ---- */

static i32 signal_child(u32 number) {
  if (loop.exited) return ESRCH;
  return syscall(SYS_pidfd_send_signal, loop.run->pidfd, (int)number, NULL, 0) ? errno : 0;
}

static void on_command(int connection, enum frame type, const u8 *payload, u32 length) {
  u8 answer[4];
  if (type == FRAME_RESIZE && length == 4) relay_resize(load16(payload), load16(payload + 2));
  else if (type == FRAME_CLOSE_STDIN && !length) relay_close_input();
  else if (type == FRAME_REOPEN_LOG && !length) log_reopen();
  else if (type == FRAME_SIGNAL && length == 4) {
    store32(answer, (u32)signal_child(load32(payload)));
    connection_send(connection, FRAME_SIGNAL_RESULT, answer, sizeof answer);
  } else {
    connection_refuse(connection, "unknown frame");
  }
}

static void on_hello(int connection) {
  u8 frame[64];
  if (loop.reported) connection_send(connection, FRAME_EXITED, frame, exited_frame(&loop.report, frame));
  else connection_send(connection, FRAME_STARTED, frame, started_frame(loop.run, frame));
}

static const struct connection_events events = {on_command, relay_input, relay_input_end, on_hello};

/* ---- events ---- */

static void reap(void) {
  siginfo_t info = {0};
  if (loop.exited || waitid(P_PIDFD, (id_t)loop.run->pidfd, &info, WEXITED | WNOHANG) || !info.si_pid) return;
  loop.exited = true;
  loop.report.at_ns = unix_ns();
  bool killed = info.si_code != CLD_EXITED;
  loop.report.signal = killed ? info.si_status : 0;
  loop.report.code = killed ? 128 + info.si_status : info.si_status;
  loop.report.oom_killed = oom_kills(loop.run) > loop.oom_before;
  close_fd(&loop.run->pidfd);
}

/* Mode run: what this process is sent goes on to the container. */
static void forward_signals(void) {
  struct signalfd_siginfo info;
  while (read(loop.signals, &info, sizeof info) == sizeof info)
    if (info.ssi_signo != SIGCHLD) signal_child(info.ssi_signo);
}

static void dispatch(u64 data, u32 mask) {
  if (data >= CONNECTION_DATA) return connection_event((int)(u32)data, mask);
  if (data == DATA_LISTENER) connections_accept(loop.listener);
  else if (data == DATA_CHILD) reap();
  else if (data == DATA_SIGNAL) forward_signals();
  else relay_event(data);
}

static void one_round(i64 deadline) {
  struct epoll_event ready[EVENTS];
  i64 clients = connections_deadline(), now = now_ms();
  if (clients < deadline) deadline = clients;
  i64 left = deadline == INT64_MAX ? -1 : deadline > now ? deadline - now : 0;
  int count = epoll_wait(loop.epoll, ready, EVENTS, (int)left);
  for (int i = 0; i < count; i++) dispatch(ready[i].data.u64, ready[i].events);
  if (left >= 0) connections_expire(now_ms());
}

static void watch(int fd, u64 data) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};
  if (fd >= 0) epoll_ctl(loop.epoll, EPOLL_CTL_ADD, fd, &event);
}

static void begin(struct run *run, int listener) {
  const struct options *options = &run->plan.options;
  loop.run = run;
  loop.listener = listener;
  loop.epoll = epoll_create1(EPOLL_CLOEXEC);
  loop.signals = -1;
  connections_begin(loop.epoll, &events);
  if (run->control >= 0) connection_add(run->control, CONNECTION_CONTROL, 0);
  if (run->relay) {
    for (u32 i = 0; i < options->attach_count; i++) connection_add(4 + (int)i, CONNECTION_ATTACH, options->attach[i]);
    relay_begin(run, loop.epoll);
  } else {
    u64 all = ~0ull;
    loop.signals = (int)syscall(SYS_signalfd4, -1, &all, sizeof all, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  watch(listener, DATA_LISTENER);
  watch(run->pidfd, DATA_CHILD);
  watch(loop.signals, DATA_SIGNAL);
}

/* ---- the end ---- */

/* Output first, then what was asked to be undone, then the report: who hears EXITED finds everything released. */
static void finish(void) {
  struct run *run = loop.run;
  i64 deadline = now_ms() + END_MS;
  u8 frame[64];
  relay_drain_begin();
  while (!relay_drain()) {
    if (now_ms() >= deadline) connections_drop_full();
    else one_round(deadline);
  }
  log_finish();
  loop.report.lost_lines = log_lost_lines();
  run->child = 0; /* reaped: no step may reach whoever gets that pid next */
  run_teardown(run, &loop.report.teardown_step, &loop.report.teardown_error);
  write_exit_status(run, &loop.report);
  loop.reported = true;
  connections_broadcast(FRAME_EXITED, frame, exited_frame(&loop.report, frame), true, true);
  while (connections_pending() && now_ms() < deadline) one_round(deadline);
  if (run->plan.options.socket_path) unlink(run->plan.options.socket_path);
  connections_close_all();
}

void note_oom_kills(const struct run *run) { loop.oom_before = oom_kills(run); }

void run_until_exit(struct run *run, int listener) {
  begin(run, listener);
  while (!loop.exited) {
    one_round(INT64_MAX);
    relay_adjust();
  }
  finish();
}
