#include "log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h> /* rename */
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RECORD_TEXT = 16384, PARTS = 1024, PREFIX = 40 };

static struct {
  int fd;
  const char *path;
  u64 max_bytes, size;
  u32 max_files, lost;
  bool cut;   /* the file ends inside a record */
  bool moved; /* renamed away, but no new file could be opened yet */
} file = {.fd = -1};

/* What came without its newline yet, a stream. */
static struct {
  u32 length;
  u8 bytes[RECORD_TEXT];
} carry[2];

/* The batch being collected: records of a prefix, text and newline. All records of a batch carry one time. */
static struct {
  struct iovec parts[PARTS];
  int count;
  u64 bytes;
  char full[PREFIX], partial[PREFIX];
} batch;

static const char newline[] = "\n";

static int open_file(void) {
  int fd = open(file.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0640);
  struct stat status;
  if (fd < 0 || fstat(fd, &status)) {
    int result = -errno;
    if (fd >= 0) close(fd);
    return result;
  }
  close_fd(&file.fd);
  file.fd = fd;
  file.size = (u64)status.st_size;
  return 0;
}

/* A monitor before this one may have died inside a record. */
static bool ends_inside_record(void) {
  char last = '\n';
  int fd = file.size ? open(file.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY) : -1;
  if (fd < 0) return false;
  ssize_t n = pread(fd, &last, 1, (off_t)file.size - 1);
  close(fd);
  return n == 1 && last != '\n';
}

int log_open(const char *path, u64 max_bytes, u32 max_files) {
  file.path = path;
  file.max_bytes = max_bytes;
  file.max_files = max_files;
  int result = open_file();
  if (!result) file.cut = ends_inside_record();
  return result;
}

void log_reopen(void) {
  /* If it cannot be opened the old file goes on being written. */
  if (file.fd >= 0 && !open_file()) file.cut = false;
}

u32 log_lost_lines(void) { return file.lost; }

/* ---- rotation ---- */

static void numbered(char name[PATH_MAX], u32 number) {
  struct text text = {name, PATH_MAX, 0};
  text_add(&text, file.path);
  if (!number) return;
  text_add(&text, ".");
  text_add_number(&text, number);
}

/* path.1 → path.2 …, path → path.1; the oldest falls out. With one file alone it starts anew: a reader that has it open
 * still sees its end. Failures leave the present file in use, which then grows. */
static void rotate(void) {
  char from[PATH_MAX], to[PATH_MAX];
  for (u32 number = file.max_files > 1 && !file.moved ? file.max_files - 1 : 0; number > 0; number--) {
    numbered(from, number - 1);
    numbered(to, number);
    rename(from, to);
  }
  if (file.max_files <= 1) unlink(file.path);
  file.moved = open_file() < 0;
  if (!file.moved) file.cut = false;
}

/* ---- writing ---- */

static bool starts_record(const struct iovec *part) { return part->iov_base == batch.full || part->iov_base == batch.partial; }

/* Drops what was written from the front of the batch; the rest of a part that was written in half stays. */
static int advance(int first, size_t written) {
  while (written) {
    struct iovec *part = &batch.parts[first];
    size_t n = written < part->iov_len ? written : part->iov_len;
    file.cut = ((const char *)part->iov_base)[n - 1] != '\n';
    part->iov_base = (char *)part->iov_base + n;
    part->iov_len -= n;
    written -= n;
    if (!part->iov_len) first++;
  }
  return first;
}

static void flush(void) {
  int first = 0;
  while (first < batch.count) {
    ssize_t n = writev(file.fd, batch.parts + first, batch.count - first);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    file.size += (u64)n;
    first = advance(first, (size_t)n);
  }
  /* Disk full: every record that is not whole in the file is lost; the one that was begun counts too. */
  bool repair = !first && batch.parts[0].iov_base == newline;
  if (first < batch.count && !starts_record(&batch.parts[first]) && !repair) file.lost++;
  for (; first < batch.count; first++) file.lost += starts_record(&batch.parts[first]);
  batch.count = 0;
  batch.bytes = 0;
}

static void add_part(const void *bytes, size_t length) {
  if (!length) return;
  batch.parts[batch.count++] = (struct iovec){(void *)(uintptr_t)bytes, length};
  batch.bytes += length;
}

/* One record: the stream's carry, then text, then a newline (which is the text's own when `ended`). */
static void add_record(int stream, const char *prefix, const u8 *text, size_t length, bool ended) {
  u64 size = PREFIX + carry[stream].length + length + !ended;
  if (file.max_bytes && file.size + batch.bytes + size > file.max_bytes && file.size + batch.bytes > 0) {
    flush();
    if (file.size) rotate();
  }
  if (batch.count + 5 > PARTS) flush();
  if (!batch.count && file.cut) add_part(newline, 1);
  add_part(prefix, PREFIX);
  add_part(carry[stream].bytes, carry[stream].length);
  add_part(text, length);
  if (!ended) add_part(newline, 1);
  /* The carry's bytes are still needed: the caller flushes before it fills it again. */
  carry[stream].length = 0;
}

/* ---- time ---- */

static char *digits(char *to, u32 value, int count) {
  for (int i = count - 1; i >= 0; i--, value /= 10) to[i] = (char)('0' + value % 10);
  return to + count;
}

/* Days since 1970 to a date of the Gregorian calendar: years start in March, so that the leap day is the last one. */
static char *date(char *to, u64 days) {
  u64 z = days + 719468, era = z / 146097, day_of_era = z % 146097;
  u64 year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  u64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  u64 month = (5 * day_of_year + 2) / 153;
  u64 day = day_of_year - (153 * month + 2) / 5 + 1;
  u64 number = month < 10 ? month + 3 : month - 9;
  to = digits(to, (u32)(year_of_era + era * 400 + (number <= 2)), 4);
  *to++ = '-';
  to = digits(to, (u32)number, 2);
  *to++ = '-';
  return digits(to, (u32)day, 2);
}

static void stamp(int stream) {
  u64 ns = unix_ns(), seconds = ns / 1000000000u;
  char *at = date(batch.full, seconds / 86400);
  *at++ = 'T';
  at = digits(at, (u32)(seconds / 3600 % 24), 2);
  *at++ = ':';
  at = digits(at, (u32)(seconds / 60 % 60), 2);
  *at++ = ':';
  at = digits(at, (u32)(seconds % 60), 2);
  *at++ = '.';
  at = digits(at, (u32)(ns % 1000000000u), 9);
  memcpy(at, stream ? "Z stderr F " : "Z stdout F ", 11);
  memcpy(batch.partial, batch.full, PREFIX);
  batch.partial[PREFIX - 2] = 'P';
}

/* ---- output ---- */

void log_output(int stream, const u8 *bytes, size_t length) {
  if (file.fd < 0) return;
  stamp(stream);
  while (length) {
    size_t room = RECORD_TEXT - carry[stream].length;
    const u8 *end = memchr(bytes, '\n', length);
    size_t text = end ? (size_t)(end - bytes) : length;
    if (text > room || (text == room && !end)) {
      add_record(stream, batch.partial, bytes, room, false);
      text = room;
    } else if (end) {
      add_record(stream, batch.full, bytes, ++text, true);
    } else {
      flush(); /* a record of this batch may still point into the carry */
      memcpy(carry[stream].bytes + carry[stream].length, bytes, text);
      carry[stream].length += (u32)text;
    }
    bytes += text;
    length -= text;
  }
  flush();
}

void log_finish(void) {
  if (file.fd < 0) return;
  for (int stream = 0; stream < 2; stream++) {
    if (!carry[stream].length) continue;
    stamp(stream);
    add_record(stream, batch.partial, NULL, 0, false);
    flush();
  }
}
