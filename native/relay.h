/* The container's stdin, stdout and stderr between its pipes (or pty) and the log and clients. */
#ifndef GANTRY_RELAY_H
#define GANTRY_RELAY_H

#include "run.h"

/* `epoll` gets the fds with these data. */
enum { DATA_OUTPUT = 4, DATA_INPUT = 6 };

/* Makes the pipes before clone. With a terminal there is nothing to make: the master comes from the container. */
int relay_prepare(struct run *run);
void relay_begin(struct run *run, int epoll);
void relay_event(u64 data);
/* Reads no output while a client's buffer is full; to be called after each round of events. */
void relay_adjust(void);

/* For clients: takes stdin bytes, returns how many. */
size_t relay_input(const u8 *bytes, size_t length);
void relay_close_input(void);
/* A client that had stdin is done: stdin is closed if it was for one client only. */
void relay_input_end(void);
void relay_resize(u16 rows, u16 cols);

/* The process has ended: takes what is left in the pipes. True when all is taken; false when clients must take theirs
 * first. Nobody waits for other processes that still hold the pipes. */
void relay_drain_begin(void);
bool relay_drain(void);

#endif
