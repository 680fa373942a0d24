/* The catalogue of steps: PROTOCOL.md, "Steps", as a table. */
#ifndef GANTRY_OPERATIONS_H
#define GANTRY_OPERATIONS_H

#include "plan.h"

struct run;

enum operation_code {
  OP_CLONE = 35,
  OP_JOIN_NAMESPACES = 64,
  OP_UNSHARE = 66,
  OP_WAIT_PARENT = 67,
  OP_IDS = 87,
  OP_WAIT_START = 92,
  OP_EXEC = 93,
  OP_ID_MAPS = 100,
  OP_NAMESPACES_READY = 102,
  OP_JOIN_PATHS = 104,
  OP_SECCOMP_LISTENER = 120,
  OP_ASK_HOOKS = 130,
  OP_RUN_HOOK = 131,
  OP_ADOPT = 137,
};

struct operation {
  u16 op;
  u8 sections; /* bit n: allowed in section n */
  const char *name;
  const char *signature;
  int (*act)(struct run *run, const struct arg *args);
};

/* NULL for an unknown code. */
const struct operation *operation_of(u16 op);

/* Runs the steps of a section in order until one fails; *index is then that step's. */
int run_section(struct run *run, enum section section, u32 *index);

#endif
