/* Paths below the container's root. Before pivot-root they are resolved by openat2 with RESOLVE_IN_ROOT, so that nothing
 * a hostile image holds (symlinks, `..`) leads outside; afterwards the root is the process's own. Magic links never work. */
#ifndef GANTRY_INSIDE_H
#define GANTRY_INSIDE_H

#include "run.h"

/* openat2 below the container's root; flags of open(2), `resolve` is added to what is always forbidden. */
int inside_open(const struct run *run, const char *path, u64 flags, u64 resolve);

enum make { MAKE_NOTHING, MAKE_DIRECTORY, MAKE_FILE };
/* An O_PATH fd of `path`, symlinks followed inside; what is missing is made (parents as directories 0755). *made tells
 * whether the last component is new; may be NULL. */
int inside_make(const struct run *run, const char *path, enum make make, mode_t mode, bool *made);

/* An O_PATH fd of the directory that holds the last component, made if missing, and that component (in `name`, which has
 * room for 256 bytes). -EINVAL for a path that ends in `.`, `..` or is the root. */
int inside_parent(const struct run *run, const char *path, char name[256]);

#endif
