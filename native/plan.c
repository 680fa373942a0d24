#include "plan.h"

#include "operations.h"

#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAGIC = 0x314c5047, RECORD_HEADER = 8, READ_MS = 30000 };

/* ---- fields ---- */

/* A reader that never goes beyond its end: after the first short read `bad` stays set and every value is 0. */
struct reader {
  const u8 *at, *end;
  bool bad;
};

static const u8 *take(struct reader *r, u32 length) {
  if (r->bad || (size_t)(r->end - r->at) < length) {
    r->bad = true;
    return NULL;
  }
  const u8 *bytes = r->at;
  r->at += length;
  return bytes;
}

static u64 take_number(struct reader *r, u32 size) {
  const u8 *bytes = take(r, size);
  u64 value = 0;
  for (u32 i = 0; bytes && i < size; i++) value |= (u64)bytes[i] << (8 * i);
  return value;
}

static const u8 *take_bytes(struct reader *r, u32 *length) {
  *length = (u32)take_number(r, 4);
  return take(r, *length);
}

static const char *take_string(struct reader *r, u32 *length) {
  const char *text = (const char *)take_bytes(r, length);
  const u8 *end = take(r, 1);
  if (!text || !end || *end || memchr(text, 0, *length)) r->bad = true;
  return r->bad ? "" : text;
}

static void take_message(struct reader *r) {
  u32 length, words;
  take_bytes(r, &length);
  u32 offset = (u32)take_number(r, 4);
  take_string(r, &words);
  if (offset != NO_STEP && (length < 4 || offset > length - 4)) r->bad = true;
}

static void take_list(struct reader *r, char kind, struct arg *arg) {
  u32 length;
  arg->count = (u32)take_number(r, 4);
  arg->bytes = r->at;
  /* The count is hostile: every item takes at least four bytes, so `bad` ends the loop early. */
  for (u32 i = 0; i < arg->count && !r->bad; i++) {
    if (kind == 'S') take_string(r, &length);
    if (kind == 'U') take_number(r, 4);
    if (kind == 'M') take_message(r);
  }
}

int decode(const char *signature, const u8 *payload, u32 length, struct arg *args) {
  struct reader r = {payload, payload + length, false};
  for (; *signature; signature++, args++) {
    *args = (struct arg){0};
    switch (*signature) {
      case 's': args->text = take_string(&r, &args->length); break;
      case 'b': args->bytes = take_bytes(&r, &args->length); break;
      case 'i': args->number = (u64)(i64)(i32)take_number(&r, 4); break;
      case 'S': case 'U': case 'M': take_list(&r, *signature, args); break;
      default: args->number = take_number(&r, (u32)(*signature - '0'));
    }
  }
  return r.bad || r.at != r.end ? -EINVAL : 0;
}

const char *next_string(const u8 **cursor) {
  u32 length = load32(*cursor);
  const char *text = (const char *)*cursor + 4;
  *cursor += 4 + (size_t)length + 1;
  return text;
}

char **list_pointers(const struct arg *list, char **to) {
  const u8 *cursor = list->bytes;
  for (u32 i = 0; i < list->count; i++) *to++ = (char *)(uintptr_t)next_string(&cursor);
  *to++ = NULL;
  return to;
}

struct netlink_item next_message(const u8 **cursor) {
  struct netlink_item item;
  item.length = load32(*cursor);
  /* The plan is this process's own writable memory; only this list is ever written to. */
  item.message = (u8 *)(uintptr_t)(*cursor + 4);
  *cursor += 4 + (size_t)item.length;
  item.pid_offset = load32(*cursor);
  *cursor += 4;
  item.description = next_string(cursor);
  return item;
}

/* ---- records ---- */

bool plan_next(const struct plan *plan, struct cursor *cursor, int section, struct step *step) {
  while (plan->length - cursor->offset >= RECORD_HEADER) {
    const u8 *record = plan->bytes + cursor->offset;
    u32 length = load32(record + 4);
    if (length > plan->length - cursor->offset - RECORD_HEADER) return false;
    *step = (struct step){load16(record), record[2], record[3] & 1, cursor->index, record + RECORD_HEADER, length};
    cursor->offset += RECORD_HEADER + length;
    if (step->section != SECTION_OPTIONS) cursor->index++;
    if (section < 0 || step->section == section) return true;
  }
  return false;
}

static int check_options(struct plan *plan, const struct step *step) {
  struct arg a[MAX_ARGUMENTS];
  struct options *o = &plan->options;
  static const char *const signatures[] = {NULL, "s", "s", "s84", "22", "1", "s", "1", "4", "", "s", "s", "4", ""};
  if (step->op >= COUNT(signatures) || !signatures[step->op]) return -EINVAL;
  if (decode(signatures[step->op], step->payload, step->length, a)) return -EINVAL;
  switch (step->op) {
    case 1: o->socket_path = a[0].text; break;
    case 2: o->status_path = a[0].text; break;
    case 3: o->log_path = a[0].text, o->log_bytes = a[1].number, o->log_files = (u32)a[2].number; break;
    case 4: o->terminal = true, o->rows = (u16)a[0].number, o->cols = (u16)a[1].number; break;
    case 5: o->open_stdin = true, o->stdin_once = a[0].number; break;
    case 6: o->oom_path = a[0].text; break;
    case 7:
      if (o->attach_count == MAX_ATTACH) return -EINVAL;
      o->attach[o->attach_count++] = (u8)a[0].number & 7;
      break;
    case 8: break; /* the fds are simply never closed */
    case 9: o->detach = true; break;
    case 10: o->console_socket = a[0].text; break;
    case 11: o->title = a[0].text; break;
    case 12:
      if (a[0].number > MAX_PRESERVED) return -EINVAL;
      o->preserved = (u32)a[0].number;
      break;
    case 13: o->no_log = true; break;
  }
  return 0;
}

/* What the order of the steps must be for the two processes never to wait for each other for ever. */
struct order {
  u32 clones, container_steps;
  bool asked, has_hooks, ready, waited, executed, container;
};

static bool list_has(const struct arg *list, u32 value) {
  for (u32 i = 0; i < list->count; i++)
    if (load32(list->bytes + (size_t)i * 4) == value) return true;
  return false;
}

static int check_step(struct plan *plan, const struct step *step, struct order *order) {
  struct arg a[MAX_ARGUMENTS];
  const struct operation *operation = operation_of(step->op);
  if (!operation || !(operation->sections & 1u << step->section)) return fail(EINVAL, "unknown step", NULL);
  if (decode(operation->signature, step->payload, step->length, a)) return fail(EINVAL, "malformed step", operation->name);
  if (step->op == OP_RUN_HOOK) {
    if (a[5].length < HOOK_PID_BYTES || a[6].number > a[5].length - HOOK_PID_BYTES) return fail(EINVAL, "pid beyond the state of", a[0].text);
    plan->hook_seconds += a[4].number;
    order->has_hooks |= step->section == SECTION_HOOKS;
  }
  if (step->section != SECTION_CONTAINER) {
    order->clones += step->op == OP_CLONE || step->op == OP_ADOPT;
    plan->adopts |= step->op == OP_ADOPT;
    plan->maps |= step->op == OP_ID_MAPS;
    bool is_of_start = step->op == OP_CLONE || step->op == OP_ID_MAPS;
    return is_of_start && step->section == SECTION_TEARDOWN ? fail(EINVAL, "of the start and in teardown:", operation->name) : 0;
  }
  order->container = true;
  if (order->executed) return fail(EINVAL, "step behind exec", operation->name);
  bool pid_namespace = (step->op == OP_JOIN_NAMESPACES && (a[2].number & CLONE_NEWPID)) ||
                       (step->op == OP_JOIN_PATHS && list_has(&a[1], CLONE_NEWPID)) ||
                       (step->op == OP_UNSHARE && (a[0].number & CLONE_NEWPID));
  if (pid_namespace && (order->waited || plan->moves)) return fail(EINVAL, "second or late pid namespace", operation->name);
  plan->moves |= pid_namespace;
  if (step->op == OP_ASK_HOOKS) {
    /* Earlier the answer would be taken for the end of section 1; a second time they would run again. */
    if (!order->waited || order->asked) return fail(EINVAL, "early or second", operation->name);
    order->asked = true;
  }
  if (step->op == OP_NAMESPACES_READY) {
    if (order->waited || order->ready) return fail(EINVAL, "late or second", operation->name);
    order->ready = true;
  }
  order->waited |= step->op == OP_WAIT_PARENT;
  if (step->op == OP_WAIT_START) plan->fifo = a[0].text;
  if (step->op == OP_EXEC) {
    order->executed = true;
    plan->uses_init = a[2].number;
    if (!a[0].count) return fail(EINVAL, "exec without argv", NULL);
  }
  return 0;
}

int plan_check(struct plan *plan) {
  struct cursor cursor = {0};
  struct step step;
  struct order order = {0};
  while (plan_next(plan, &cursor, -1, &step)) {
    if (step.section > SECTION_HOOKS) return fail(EINVAL, "unknown section", NULL);
    int result = step.section == SECTION_OPTIONS ? check_options(plan, &step) : check_step(plan, &step, &order);
    if (result) return result;
  }
  if (cursor.offset != plan->length) return fail(EINVAL, "record beyond the plan", NULL);
  if (order.has_hooks && !order.asked) return fail(EINVAL, "hooks that no step asks for", NULL);
  if (order.ready != plan->maps) return fail(EINVAL, "id-maps and namespaces-ready belong together", NULL);
  if (order.clones != 1) return fail(EINVAL, "a plan has one clone", NULL);
  if (plan->adopts) return order.container ? fail(EINVAL, "a plan that adopts has no steps for a child", NULL) : 0;
  if (!order.executed) return fail(EINVAL, "a plan ends with exec", NULL);
  return 0;
}

/* ---- reading ---- */

static int read_exactly(int fd, u8 *to, size_t length, i64 deadline) {
  while (length) {
    i64 left = deadline - now_ms();
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (left <= 0) return -ETIMEDOUT;
    if (poll(&wait, 1, (int)left) < 0 && errno != EINTR) return -errno;
    ssize_t n = recv(fd, to, length, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) return -EPIPE;
    to += n;
    length -= (size_t)n;
  }
  return 0;
}

static void *reserve(size_t size) {
  return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

int plan_read(int fd, struct plan *plan) {
  u8 header[8];
  i64 deadline = now_ms() + READ_MS;
  int result = read_exactly(fd, header, sizeof header, deadline);
  if (result) return result;
  plan->length = load32(header + 4);
  if (load32(header) != MAGIC || plan->length > PLAN_BYTES) return fail(EINVAL, "not a plan", NULL);
  plan->scratch_size = (size_t)plan->length * 2 + 4096;
  plan->bytes = reserve(plan->length + 1);
  plan->scratch = reserve(plan->scratch_size);
  if (plan->bytes == MAP_FAILED || plan->scratch == MAP_FAILED) return fail(ENOMEM, "memory for the plan", NULL);
  result = read_exactly(fd, plan->bytes, plan->length, deadline);
  if (result) return result;
  last_failure = (struct failure){"malformed option", NULL};
  return plan_check(plan);
}
