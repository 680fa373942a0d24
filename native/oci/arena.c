/*
 * Memory of JavaScript values. Most are small, live as long as the program, and are made by the thousand while bytecode is
 * read: they are cut from chunks, with a list of freed ones a size. What is larger comes from malloc. The checkers of the
 * sanitized build see no errors within chunks, so there all comes from malloc.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Blocks of 16, 32 … bytes, header and all. */
enum { STEP = 16, CLASSES = 32, HEADER = 8, CHUNK = 256 * 1024, LARGE_HEADER = 16 };

#ifdef __SANITIZE_ADDRESS__
enum { SMALL_MOST = 0 };
#else
enum { SMALL_MOST = STEP * CLASSES - HEADER };
#endif

struct block {
  /* What is asked for, rounded up; LARGE_MARK is added for those of malloc. */
  uint64_t size;
  struct block *next_free; /* where the value is while it is used */
};

#define LARGE_MARK (UINT64_C(1) << 63)

static struct block *freed[CLASSES];
static char *chunk, *chunk_end;

static struct block *header_of(void *value) { return (struct block *)((char *)value - HEADER); }

static size_t size_of(void *value) { return (size_t)(header_of(value)->size & ~LARGE_MARK); }

static size_t usable(const void *value) { return value == NULL ? 0 : size_of((void *)(uintptr_t)value); }

/* Populated at once: hundreds of page faults cost more than the pages. */
static char *cut(size_t length) {
  if (chunk == NULL || (size_t)(chunk_end - chunk) < length) {
    char *fresh = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (fresh == MAP_FAILED) return NULL;
    /* The rest of the old chunk is given up: less than the largest small block. */
    chunk = fresh;
    chunk_end = fresh + CHUNK;
  }
  char *block = chunk;
  chunk += length;
  return block;
}

static void *take_small(size_t size) {
  size_t class = (size + HEADER - 1) / STEP;
  struct block *block = freed[class];
  if (block != NULL) {
    freed[class] = block->next_free;
  } else {
    block = (struct block *)cut((class + 1) * STEP);
    if (block == NULL) return NULL;
    block->size = (class + 1) * STEP - HEADER;
  }
  return (char *)block + HEADER;
}

static void *mark_large(char *memory, size_t size) {
  if (memory == NULL) return NULL;
  char *value = memory + LARGE_HEADER;
  header_of(value)->size = size | LARGE_MARK;
  return value;
}

static void account(JSMallocState *state, void *value, int sign) {
  state->malloc_count += (size_t)sign;
  state->malloc_size += (size_of(value) + HEADER) * (size_t)sign;
}

static bool beyond_limit(const JSMallocState *state, size_t more) {
  return more > state->malloc_limit || state->malloc_size > state->malloc_limit - more;
}

static void *arena_malloc(JSMallocState *state, size_t size) {
  if (size > PTRDIFF_MAX || beyond_limit(state, size)) return NULL;
  void *value = size <= SMALL_MOST && size > 0 ? take_small(size) : mark_large(malloc(size + LARGE_HEADER), size);
  if (value != NULL) account(state, value, 1);
  return value;
}

static void arena_free(JSMallocState *state, void *value) {
  if (value == NULL) return;
  account(state, value, -1);
  struct block *block = header_of(value);
  if ((block->size & LARGE_MARK) != 0) {
    free((char *)value - LARGE_HEADER);
    return;
  }
  size_t class = block->size / STEP;
  block->next_free = freed[class];
  freed[class] = block;
}

static void *grow_large(JSMallocState *state, void *value, size_t size) {
  size_t old = size_of(value);
  if (size > old && beyond_limit(state, size - old)) return NULL;
  char *memory = realloc((char *)value - LARGE_HEADER, size + LARGE_HEADER);
  if (memory == NULL) return NULL;
  state->malloc_size += size - old;
  return mark_large(memory, size);
}

static void *arena_realloc(JSMallocState *state, void *value, size_t size) {
  if (value == NULL) return size == 0 ? NULL : arena_malloc(state, size);
  if (size == 0) return arena_free(state, value), NULL;
  bool large = (header_of(value)->size & LARGE_MARK) != 0;
  if (size > PTRDIFF_MAX) return NULL;
  if (large) return grow_large(state, value, size);
  if (size <= size_of(value)) return value;
  void *moved = arena_malloc(state, size);
  if (moved == NULL) return NULL;
  memcpy(moved, value, size_of(value));
  arena_free(state, value);
  return moved;
}

const JSMallocFunctions arena_functions = {arena_malloc, arena_free, arena_realloc, usable};
