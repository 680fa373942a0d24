/* Shared by the files that mount: mount-dress.c (attributes, propagation) and mount-place.c (where a mount goes). */
#ifndef GANTRY_MOUNTS_H
#define GANTRY_MOUNTS_H

#include "inside.h"

/* MS_* of mount(2) as MOUNT_ATTR_*; what is no attribute of a mount is left out. */
u64 mount_attributes(u64 ms);
/* Adds those attributes to the mount behind an fd. */
int set_attributes(int fd, u64 ms, bool recursive);
/* mount_setattr on the mount behind an fd, with MOUNT_ATTR_*; nothing asked for is nothing done. */
int change_attributes(int fd, u64 set, u64 clear, bool recursive);
/* MS_PRIVATE …, with MS_REC for all below. MS_SLAVE | MS_SHARED: first the one, then the other. 0: left as it is. */
int set_propagation(int fd, u64 ms);
/* The fd is the root of a mount: 1, 0, or -errno. */
int is_mount_root(int fd);

/* How the place of a mount is found; payloads of `mount` and `bind`. */
enum place {
  PLACE_MAKE = 1,      /* what is missing is made */
  PLACE_PLAIN = 2,     /* an ordinary directory, no symlink on the way to it (proc, sysfs) */
  PLACE_ON_PROC = 4,   /* may lie in a procfs: nothing else may (CVE-2019-16884, CVE-2023-28642) */
  PLACE_NO_FOLLOW = 8, /* a symlink at the end is the place itself */
};
/* An O_PATH fd of the place; has called fail(). *made may be NULL. */
int open_place(const struct run *run, const char *inside, u64 bits, enum make make, bool *made);
/* Puts a detached mount there; has called fail(). On "/" it becomes the root that later steps see. */
int attach(struct run *run, int mount, int place, const char *inside);

/* move-root.c: instead of pivot_root(2). */
int move_root(struct run *run);

/* An empty, read-only file system, detached. */
int new_empty_directory(void);
/* steps-exec.c: a procfs that is not the container's */
int open_own_proc(void);
/* What `from` (O_PATH) holds, copied into the detached mount `to`; has called fail(). */
int copy_up(int from, int to, const char *inside);
/* A symlink inside; an equal one is fine, any other file there is replaced if asked, else -EEXIST. */
int inside_symlink(struct run *run, const char *target, size_t length, const char *path, bool replace);

/* step_mount and step_overlay */
int context_failure(int context, int err, const char *what, const char *detail);
int set_string(int context, const char *key, const char *value);
int set_options(int context, const char *options, char *space);
int finish_context(int context, u64 attributes, const char *what, const char *detail);

#endif
