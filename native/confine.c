/* `gantry-init confine KEEP -- PROGRAM ARGUMENTS`: the program, and every thread it will ever have, in network and IPC
 * namespaces of its own, with no capability but those in KEEP (a hexadecimal mask) and no way to gain one. Done before the
 * program begins, since a program of several threads can do it for one of them only. */
#include "base.h"
#include "init.h"

#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int refuse(const char *step) {
  const char *parts[] = {"gantry-init confine: ", step, ": ", strerror(errno), "\n"};
  for (size_t i = 0; i < COUNT(parts); i++) (void)!write(2, parts[i], strlen(parts[i]));
  return 1;
}

/* What an exec by root brings back is bounded; that of others is nothing at all. Capabilities that the kernel does not know
 * are EINVAL. Those that go on in the permitted set do so until the exec, which needs them to find the program. */
static void bound(u64 keep) {
  for (unsigned long capability = 0; capability < 64; capability++)
    if ((keep >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  if (syscall(SYS_capget, &header, data)) return;
  data[0].inheritable = data[1].inheritable = 0;
  syscall(SYS_capset, &header, data);
}

int confine_main(char **argv) {
  char *end;
  u64 keep = strtoull(argv[0], &end, 16);
  if (*end != '\0' || strcmp(argv[1], "--") != 0 || argv[2] == NULL) return 2;
  if (unshare(CLONE_NEWNET | CLONE_NEWIPC)) return refuse("make namespaces");
  bound(keep);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL)) return refuse("give up new rights");
  execv(argv[2], argv + 2);
  return refuse(argv[2]);
}
