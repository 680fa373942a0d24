/* The container's output in CRI log format, rotated; PROTOCOL.md, "The log". One writev a batch, no fsync, no allocation. */
#ifndef GANTRY_LOG_H
#define GANTRY_LOG_H

#include "base.h"

/* Opens (or creates) the file; `path` must live as long as the log. */
int log_open(const char *path, u64 max_bytes, u32 max_files);
/* Opens the path again: someone renamed the file. */
void log_reopen(void);
/* Takes one batch of a stream's output: 0 stdout, 1 stderr. */
void log_output(int stream, const u8 *bytes, size_t length);
/* Writes what stands without a newline as last records. */
void log_finish(void);
u32 log_lost_lines(void);

#endif
