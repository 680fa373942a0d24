/* What is told to whom: the status file first, so that who hears a frame finds the file saying the same. */
#include "connections.h"
#include "monitor.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A status file that cannot be written (disk full) must not stop the container; the frames still tell. */
static void write_status(const struct run *run, const char *word, const u64 *numbers, int count) {
  char line[160];
  struct text text = {line, sizeof line, 0};
  if (!run->plan.options.status_path) return;
  text_add(&text, word);
  for (int i = 0; i < count; i++) {
    text_add(&text, " ");
    text_add_number(&text, numbers[i]);
  }
  text_add(&text, "\n");
  (void)replace_file(run->plan.options.status_path, line, text.length);
}

/* Before the event loop: fd 3 alone, blocking; what is sent fits its empty buffer. */
static void send_control(struct run *run, enum frame type, const u8 *payload, u32 length) {
  u8 header[8] = {(u8)type, 0, 0, 0, (u8)(length >> 24), (u8)(length >> 16), (u8)(length >> 8), (u8)length};
  struct iovec parts[] = {{header, sizeof header}, {(void *)(uintptr_t)payload, length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  if (run->control >= 0) (void)!sendmsg(run->control, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

u32 started_frame(const struct run *run, u8 frame[64]) {
  u8 *at = store32(frame, (u32)run->child);
  at = store64(at, run->start_time);
  at = store32(at, (u32)getpid());
  return (u32)(at - frame);
}

u32 exited_frame(const struct exit_report *report, u8 frame[64]) {
  u8 *at = store32(frame, (u32)report->code);
  at = store32(at, (u32)report->signal);
  *at++ = report->oom_killed;
  at = store64(at, report->at_ns);
  at = store32(at, report->lost_lines);
  at = store32(at, report->teardown_step);
  at = store32(at, (u32)report->teardown_error);
  return (u32)(at - frame);
}

void report_started(struct run *run) {
  u8 frame[64];
  write_status(run, "running", (u64[]){(u64)run->child, run->start_time, (u64)getpid()}, 3);
  send_control(run, FRAME_STARTED, frame, started_frame(run, frame));
}

void report_failed(struct run *run, u32 index, int error, const char *context) {
  u8 frame[2048];
  size_t length = strlen(context);
  if (length > sizeof frame - 13) length = sizeof frame - 13;
  u8 *at = store32(store32(store32(frame, index), (u32)error), (u32)length);
  memcpy(at, context, length);
  at[length] = 0;
  write_status(run, "failed", (u64[]){index, (u64)error}, 2);
  send_control(run, FRAME_FAILED, frame, (u32)(at + length + 1 - frame));
}

void write_exit_status(const struct run *run, const struct exit_report *report) {
  write_status(run, "exited", (u64[]){(u64)report->code, (u64)report->signal, report->oom_killed, report->at_ns, report->lost_lines}, 5);
}
