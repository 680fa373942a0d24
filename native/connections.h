/* The connections of a monitor: control (fd 3 and later ones) and attach. Frames in, frames out; PROTOCOL.md, "Frames".
 * All memory is bounded and made only for connections that exist: fixed slots, an output buffer mapped while it is filled. */
#ifndef GANTRY_CONNECTIONS_H
#define GANTRY_CONNECTIONS_H

#include "base.h"

enum frame {
  FRAME_STDIN = 0,
  FRAME_STDOUT = 1,
  FRAME_STDERR = 2,
  FRAME_STARTED = 16,
  FRAME_FAILED = 17,
  FRAME_EXITED = 18,
  FRAME_RESIZE = 19,
  FRAME_SIGNAL = 20,
  FRAME_HELLO = 21,
  FRAME_REOPEN_LOG = 22,
  FRAME_ERROR = 23,
  FRAME_CLOSE_STDIN = 24,
  FRAME_SIGNAL_RESULT = 25,
};

enum { MAX_CONNECTIONS = 64, WANTS_STDIN = 1 };

enum connection_kind { CONNECTION_NEW, CONNECTION_CONTROL, CONNECTION_ATTACH };

/* What the owner of the container does on a client's word. */
struct connection_events {
  /* A frame that is neither stdin nor HELLO. */
  void (*command)(int connection, enum frame type, const u8 *payload, u32 length);
  /* Takes stdin bytes; returns how many were taken: fewer when the pipe is full. */
  size_t (*input)(const u8 *bytes, size_t length);
  /* A client that had stdin ended it or went. */
  void (*input_end)(void);
  /* A control connection said HELLO: it wants to know the present state. */
  void (*hello)(int connection);
};

/* `epoll` gets the connections with data CONNECTION_DATA | slot. */
#define CONNECTION_DATA 0x100000000u
void connections_begin(int epoll, const struct connection_events *events);
/* Returns the slot or -EMFILE (fd is closed then). */
int connection_add(int fd, enum connection_kind kind, u8 streams);
/* Accepts what waits on the listening socket. */
void connections_accept(int listener);
void connection_event(int slot, u32 epoll_events);
/* Stdin can take bytes again. */
void connections_resume_input(void);

void connection_send(int slot, enum frame type, const u8 *payload, u32 length);
/* The peer broke the protocol: says so and closes. */
void connection_refuse(int slot, const char *why);
/* To every attach connection that has the stream. */
void connections_output(enum frame type, const u8 *payload, u32 length);
void connections_broadcast(enum frame type, const u8 *payload, u32 length, bool attach, bool control);

/* One client's buffer is full: the container's output is to be left in its pipes. */
bool connections_full(void);
bool connections_pending(void);
/* Earliest time (ms, monotonic) at which connections_expire has something to do; INT64_MAX when never. */
i64 connections_deadline(void);
void connections_expire(i64 now);
/* Closes those that are full (they held up the end for too long). */
void connections_drop_full(void);
void connections_close_all(void);

#endif
