/* The plan decoder under hostile input, with sanitizers. Two uses:
 *   plan-fuzz check               reads encoded plans from stdin, one behind the other, and writes a line each: "ok" or why not
 *   plan-fuzz SECONDS SEED FILE…  mutates the plans in the files, structure-aware and reproducibly, until the time is up
 * A plan lies in a heap block of exactly its length, so that one byte read beyond it ends the program. */
#include "../operations.h"
#include "../steps.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEADER = 8, MAX_SEEDS = 64, MAX_RECORDS = 4096, MAX_BYTES = 1 << 20, MUTATIONS = 6 };

struct buffer {
  u8 *bytes;
  u32 length;
};

/* ---- what gantry-init does with a plan's bytes ---- */

static u64 sum; /* of everything read, so that no read is optimised away */

static void read_text(const char *text) { sum += strlen(text); }

static void walk_list(char kind, const struct arg *arg, char **scratch) {
  const u8 *cursor = arg->bytes;
  if (kind == 'S') {
    char **end = list_pointers(arg, scratch);
    for (char **item = scratch; item < end - 1; item++) read_text(*item);
  }
  for (u32 i = 0; i < arg->count && kind == 'U'; i++) sum += load32(cursor + 4 * (size_t)i);
  for (u32 i = 0; i < arg->count && kind == 'M'; i++) {
    struct netlink_item item = next_message(&cursor);
    read_text(item.description);
    if (item.pid_offset != NO_STEP) store32(item.message + item.pid_offset, 1);
    for (u32 at = 0; at < item.length; at++) sum += item.message[at];
  }
}

static void use_step(const struct step *step, char **scratch) {
  struct arg args[MAX_ARGUMENTS];
  const char *signature = operation_of(step->op)->signature;
  if (decode(signature, step->payload, step->length, args)) abort(); /* plan_check has decoded it already */
  for (const char *kind = signature; *kind; kind++) {
    const struct arg *arg = &args[kind - signature];
    if (*kind == 's') read_text(arg->text);
    for (u32 i = 0; *kind == 'b' && i < arg->length; i++) sum += arg->bytes[i];
    walk_list(*kind, arg, scratch);
  }
  if (step->op == OP_RUN_HOOK) sum += args[5].bytes[args[6].number + HOOK_PID_BYTES - 1];
}

/* Checks the plan as plan_read does and, when it is one, reads every field of every step. */
static int try_plan(const u8 *bytes, u32 length) {
  struct plan plan = {.length = length, .bytes = malloc(length ? length : 1), .scratch_size = (size_t)length * 2 + 4096};
  struct cursor cursor = {0};
  struct step step;
  memcpy(plan.bytes, bytes, length);
  plan.scratch = malloc(plan.scratch_size);
  last_failure = (struct failure){"malformed option", NULL};
  int result = plan_check(&plan);
  while (!result && plan_next(&plan, &cursor, -1, &step))
    if (step.section != SECTION_OPTIONS) use_step(&step, (char **)(void *)plan.scratch);
  const struct options *options = &plan.options;
  const char *const texts[] = {options->socket_path, options->status_path, options->log_path, options->oom_path,
                               options->console_socket, options->title, plan.fifo};
  for (size_t i = 0; !result && i < COUNT(texts); i++)
    if (texts[i]) read_text(texts[i]);
  static char words[256]; /* the details of a failure may lie in the plan */
  struct text text = {words, sizeof words, 0};
  text_add(&text, last_failure.what ? last_failure.what : "");
  text_add(&text, " ");
  text_add(&text, last_failure.detail ? last_failure.detail : "");
  last_failure = (struct failure){words, NULL};
  free(plan.scratch);
  free(plan.bytes);
  return result;
}

/* ---- mutations ---- */

static u64 state;

static u32 random_below(u32 limit) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return limit ? (u32)(state >> 20) % limit : 0;
}

static u32 odd_number(u32 length) {
  const u32 numbers[] = {0, 1, 2, 3, 4, 7, 8, 255, 256, 0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffffb, 0xfffffffc, 0xffffffff, length, length - 1, length + 1};
  return numbers[random_below(COUNT(numbers))];
}

static u32 find_records(const struct buffer *plan, u32 offsets[MAX_RECORDS]) {
  u32 count = 0;
  for (u32 at = 0; count < MAX_RECORDS && at + HEADER <= plan->length;) {
    u32 length = load32(plan->bytes + at + 4);
    offsets[count++] = at;
    if (length > plan->length - at - HEADER) break;
    at += HEADER + length;
  }
  return count;
}

static void remove_bytes(struct buffer *plan, u32 at, u32 count) {
  if (count > plan->length - at) count = plan->length - at;
  memmove(plan->bytes + at, plan->bytes + at + count, plan->length - at - count);
  plan->length -= count;
}

static void insert_copy(struct buffer *plan, u32 at, u32 from, u32 count) {
  u8 *copy = malloc(count ? count : 1);
  if (count > plan->length - from) count = plan->length - from;
  if (plan->length + count <= MAX_BYTES) {
    memcpy(copy, plan->bytes + from, count);
    memmove(plan->bytes + at + count, plan->bytes + at, plan->length - at);
    memcpy(plan->bytes + at, copy, count);
    plan->length += count;
  }
  free(copy);
}

/* A record's length follows what was put into it or taken from it, most of the time. */
static void resize_payload(struct buffer *plan, u32 record, u32 length) {
  u32 at = record + HEADER + random_below(length + 1), count = 1 + random_below(9);
  if (random_below(2)) {
    u32 before = plan->length;
    insert_copy(plan, at, random_below(plan->length), count);
    count = plan->length - before;
    if (random_below(8)) store32(plan->bytes + record + 4, length + count);
  } else {
    if (count > record + HEADER + length - at) count = record + HEADER + length - at;
    remove_bytes(plan, at, count);
    if (random_below(8)) store32(plan->bytes + record + 4, length - count);
  }
}

static void mutate(struct buffer *plan) {
  static u32 offsets[MAX_RECORDS];
  u32 count = find_records(plan, offsets);
  if (!count) return;
  u32 record = offsets[random_below(count)], other = offsets[random_below(count)];
  u32 room = plan->length - record - HEADER, length = load32(plan->bytes + record + 4);
  if (length > room) length = room;
  u8 *payload = plan->bytes + record + HEADER;
  switch (random_below(10)) {
    case 0: plan->bytes[random_below(plan->length)] ^= (u8)(1u << random_below(8)); break;
    case 1: if (length >= 4) store32(payload + random_below(length - 3), odd_number(length)); break;
    case 2: if (length) payload[random_below(length)] = (u8)(random_below(2) ? 0 : random_below(256)); break;
    case 3: store32(plan->bytes + record + 4, odd_number(length)); break;
    case 4: plan->bytes[record] = (u8)random_below(140), plan->bytes[record + 1] = (u8)(random_below(16) ? 0 : random_below(256)); break;
    case 5: plan->bytes[record + 2] = (u8)random_below(7); break;
    case 6: remove_bytes(plan, record, HEADER + length); break;
    case 7: insert_copy(plan, other, record, HEADER + length); break;
    case 8: resize_payload(plan, record, length); break;
    default: if (!random_below(4)) plan->length = random_below(plan->length + 1); break;
  }
}

/* ---- the two uses ---- */

static struct buffer read_all(int fd) {
  struct buffer all = {malloc(4096), 0};
  for (size_t room = 4096;;) {
    if (all.length == room) all.bytes = realloc(all.bytes, room *= 2);
    ssize_t n = read(fd, all.bytes + all.length, room - all.length);
    if (n <= 0) return all;
    all.length += (u32)n;
  }
}

static int check_stdin(void) {
  struct buffer all = read_all(0);
  for (u32 at = 0; at + HEADER <= all.length;) {
    u32 length = load32(all.bytes + at + 4);
    if (length > all.length - at - HEADER) return 2;
    int result = try_plan(all.bytes + at + HEADER, length);
    printf("%s\n", result ? last_failure.what : "ok");
    at += HEADER + length;
  }
  free(all.bytes);
  return 0;
}

static int fuzz(u32 seconds, u64 seed, char **files) {
  struct buffer seeds[MAX_SEEDS], plan = {malloc(MAX_BYTES), 0};
  u32 count = 0;
  u64 tries = 0, accepted = 0;
  for (; *files && count < MAX_SEEDS; files++) {
    int fd = open(*files, O_RDONLY);
    seeds[count] = read_all(fd);
    close(fd);
    /* Behind the plan's own header, which plan_read looks at. */
    if (fd >= 0 && seeds[count].length > HEADER && seeds[count].length < MAX_BYTES) count++;
  }
  state = seed * 0x9e3779b97f4a7c15u + 1;
  if (!count) return 2;
  for (i64 end = now_ms() + (i64)seconds * 1000; now_ms() < end;) {
    for (int i = 0; i < 256; i++, tries++) {
      const struct buffer *from = &seeds[random_below(count)];
      plan.length = from->length - HEADER;
      memcpy(plan.bytes, from->bytes + HEADER, plan.length);
      for (u32 left = 1 + random_below(MUTATIONS); left && plan.length >= HEADER; left--) mutate(&plan);
      accepted += !try_plan(plan.bytes, plan.length);
    }
  }
  printf("%llu plans, %llu of them accepted, seed %llu, checksum %llx\n", (unsigned long long)tries, (unsigned long long)accepted,
         (unsigned long long)seed, (unsigned long long)sum);
  for (u32 i = 0; i < count; i++) free(seeds[i].bytes);
  free(plan.bytes);
  return accepted ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "check")) return check_stdin();
  if (argc > 3) return fuzz((u32)atoi(argv[1]), strtoull(argv[2], NULL, 10), argv + 3);
  fputs("plan-fuzz check < PLANS, or plan-fuzz SECONDS SEED FILE...\n", stderr);
  return 2;
}
