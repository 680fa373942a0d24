/* A plan in memory: read from the control connection, checked completely before anything is done, then walked. */
#ifndef GANTRY_PLAN_H
#define GANTRY_PLAN_H

#include "base.h"

enum section { SECTION_OPTIONS, SECTION_MONITOR, SECTION_CONTAINER, SECTION_TEARDOWN, SECTION_HOOKS };

enum limits {
  PLAN_BYTES = 4 << 20,
  MAX_ARGUMENTS = 10,
  MAX_ATTACH = 16,
  MAX_PRESERVED = 1024,
  HOOK_PID_BYTES = 8,
};

/* One decoded field of a payload. `count` is a list's; `bytes` are its items as on the wire. */
struct arg {
  u64 number;
  const char *text; /* NUL-terminated, without NUL inside */
  const u8 *bytes;
  u32 length;
  u32 count;
};

/* Payload signatures, one letter a field: 1 2 4 8 = unsigned of so many bytes, i = i32, s = string, b = bytes,
 * S = list of strings, U = list of u32, M = list of netlink messages (bytes, u32, string). */
int decode(const char *signature, const u8 *payload, u32 length, struct arg *args);
/* Walks the items of a checked list: each call returns one and moves the cursor on. */
const char *next_string(const u8 **cursor);
/* A checked list of strings as a NULL-terminated array, written at `to`; returns the place behind it. */
char **list_pointers(const struct arg *list, char **to);
struct netlink_item {
  u8 *message; /* in the plan: may be written to */
  u32 length, pid_offset;
  const char *description;
};
struct netlink_item next_message(const u8 **cursor);

struct step {
  u16 op;
  u8 section;
  bool optional;
  u32 index;
  const u8 *payload;
  u32 length;
};

struct options {
  const char *socket_path, *status_path, *log_path, *oom_path, *console_socket, *title;
  u64 log_bytes;
  u32 log_files;
  bool terminal, open_stdin, stdin_once, detach, no_log;
  u16 rows, cols;
  u8 attach[MAX_ATTACH];
  u32 attach_count, preserved;
};

struct plan {
  u8 *bytes;
  u32 length;
  struct options options;
  bool adopts;      /* another runtime makes the container: there is no child of clone */
  bool moves;       /* the child forks into a joined or unshared pid namespace before wait-parent */
  bool maps;        /* the monitor writes id maps and waits for `namespaces-ready` */
  bool uses_init;   /* exec runs `gantry-init init` */
  u64 hook_seconds; /* what the time-outs of all hooks add up to */
  const char *fifo; /* of wait-start, or NULL */
  u8 *scratch;      /* room for pointer lists: twice the plan's length (a string takes at least 5 bytes there and 8 here) */
  size_t scratch_size;
};

/* Reads the plan from a stream socket. -EPIPE: the peer went before all was read. -EINVAL: malformed. */
int plan_read(int fd, struct plan *plan);
/* What plan_read does once the bytes are there: every record decodes, the order is possible; fills in the rest of *plan. */
int plan_check(struct plan *plan);
/* The next step of `section` (any: -1) at or behind *offset, 0 at the end. Start with offset 0, index 0. */
struct cursor {
  u32 offset, index;
};
bool plan_next(const struct plan *plan, struct cursor *cursor, int section, struct step *step);

#endif
