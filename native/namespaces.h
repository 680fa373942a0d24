/* Shared by the files about namespaces: steps-clone.c, steps-join.c, steps-user.c, id-maps.c, steps-source.c. */
#ifndef GANTRY_NAMESPACES_H
#define GANTRY_NAMESPACES_H

#include "run.h"

/* clone3 as fork, with these flags; -errno. pidfd may be NULL, cgroup -1. */
long clone_child(u64 flags, int *pidfd, int cgroup);
/* Forks once more, so that the successor is in the pid namespace; returns in it. See steps-clone.c. */
int move_into_pid_namespace(struct run *run);
/* In the monitor: the child's successor takes its place. */
int follow_child(struct run *run, pid_t pid);

/* a: text of uid_map, text of gid_map, bits, path of newuidmap, of newgidmap (empty: written by this process). */
int write_id_maps(pid_t pid, const struct arg *a);

/* The detached mount that `open-source` made for this place: the caller's to close. -1: there is none. */
int take_source(struct run *run, const char *inside, const char *path);
/* Maps the ids of what the child has opened for this place itself, where `open-source` has made maps for that. */
int map_source(struct run *run, const char *inside, const char *path, int tree);

#endif
