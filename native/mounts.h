/* Shared by the files that mount. */
#ifndef GANTRY_MOUNTS_H
#define GANTRY_MOUNTS_H

#include "base.h"

/* MS_* of mount(2) as MOUNT_ATTR_*; what is no attribute of a mount is left out. */
u64 mount_attributes(u64 ms);
/* Adds those attributes to the mount behind an fd. */
int set_attributes(int fd, u64 ms, bool recursive);

#endif
