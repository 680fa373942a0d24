/* What every file here uses: types, the one error convention, small helpers without allocation and without stdio.
 *
 * Errors: a function that can fail returns 0 (or a value >= 0) or -errno. What was being done is noted by fail() in
 * `last_failure`, as pointers to static text or to text of the plan; the one who reports reads it right afterwards.
 */
#ifndef GANTRY_BASE_H
#define GANTRY_BASE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NO_STEP 0xffffffffu

struct failure {
  const char *what;   /* static words, or NULL: `detail` says it all */
  const char *detail; /* a path, a description; may be NULL */
};
extern struct failure last_failure;

/* Notes what failed and returns -err (err is a positive errno). */
int fail(int err, const char *what, const char *detail);

/* Bounded text building in a caller's buffer; always NUL-terminated, cut when full. */
struct text {
  char *bytes;
  size_t capacity, length;
};
void text_add(struct text *text, const char *words);
void text_add_number(struct text *text, u64 number);

u16 load16(const u8 *bytes);
u32 load32(const u8 *bytes);
u64 load64(const u8 *bytes);
u8 *store32(u8 *to, u32 value); /* returns the byte behind */
u8 *store64(u8 *to, u64 value);

/* CLOCK_MONOTONIC in ms, CLOCK_REALTIME in ns. */
i64 now_ms(void);
u64 unix_ns(void);

void close_fd(int *fd); /* closes unless -1, and makes it -1 */

/* Writes everything to a blocking fd; for small texts. */
int write_all(int fd, const void *bytes, size_t length);
/* Reads at most capacity - 1 bytes of a small file below `dir` (or AT_FDCWD), NUL-terminated. Returns the length. */
int read_small(int dir, const char *path, char *buffer, size_t capacity);
/* Writes PATH.tmp and renames it over PATH: a reader sees the old or the new text, never a part. */
int replace_file(const char *path, const char *text, size_t length);
/* Field 22 of /proc/PID/stat: with the pid it names one process for ever. 0 when there is no such process. */
u64 start_time_of(pid_t pid);

#endif
