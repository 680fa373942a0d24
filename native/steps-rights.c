/* Giving up rights: capabilities, ids, no_new_privs, seccomp. System calls are made directly: glibc's wrappers would
 * signal the other threads, which do not exist. */
#include "steps.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BOUNDING, EFFECTIVE, PERMITTED, INHERITABLE, AMBIENT, PHASE };

static int drop_bounding_set(u64 keep) {
  for (unsigned capability = 0; capability < 64; capability++) {
    int present = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (present < 0) break; /* EINVAL: behind the kernel's last one */
    if (present && !(keep >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)) return fail(errno, "drop bounding capability", NULL);
  }
  return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) ? fail(errno, "keep capabilities", NULL) : 0;
}

static int set_ambient(u64 wanted) {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned capability = 0; capability < 64; capability++)
    if (wanted >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)) return fail(errno, "ambient capability", NULL);
  return 0;
}

static int set_capabilities(const struct arg *a) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data)) return fail(errno, "read capabilities", NULL);
  /* What this process does not hold it cannot hand on: a privileged container inside a confined machine gets the rest. */
  u64 held = (u64)data[0].permitted | (u64)data[1].permitted << 32;
  u64 permitted = a[PERMITTED].number & held, effective = a[EFFECTIVE].number & permitted;
  u64 inheritable = a[INHERITABLE].number & held;
  for (int i = 0; i < 2; i++) {
    data[i].permitted = (u32)(permitted >> 32 * i);
    data[i].effective = (u32)(effective >> 32 * i);
    data[i].inheritable = (u32)(inheritable >> 32 * i);
  }
  if (syscall(SYS_capset, &header, data)) return fail(errno, "set capabilities", NULL);
  return set_ambient(a[AMBIENT].number & permitted & inheritable);
}

int step_capabilities(struct run *run, const struct arg *a) {
  (void)run;
  return a[PHASE].number ? set_capabilities(a) : drop_bounding_set(a[BOUNDING].number);
}

/* Pipes made by the monitor, and the console, belong to whom the container runs as: /dev/stdout can be opened again. */
static void give_stdio(const struct run *run, uid_t uid) {
  struct stat status;
  for (int fd = 0; fd < 3; fd++) {
    if (fstat(fd, &status) || status.st_uid == uid) continue;
    /* A refusal (user namespace, read-only file system) costs only that convenience. */
    if (S_ISFIFO(status.st_mode) || (run->console && S_ISCHR(status.st_mode))) (void)!fchown(fd, uid, (gid_t)-1);
  }
}

/* A refusal in spite of the capability means that the user namespace denies setgroups: then there is nothing to drop, the
 * caller's groups are nobody's inside. */
static int set_groups(const gid_t *groups, size_t count) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {0};
  if (!syscall(SYS_setgroups, count, groups)) return 0;
  int error = errno;
  bool denied = error == EPERM && !count && !syscall(SYS_capget, &header, data) && data[0].effective & 1u << CAP_SETGID;
  errno = error;
  return denied ? 0 : -1;
}

int step_ids(struct run *run, const struct arg *a) {
  uid_t uid = (uid_t)a[0].number;
  gid_t gid = (gid_t)a[1].number, *groups = (gid_t *)run->plan.scratch;
  for (u32 i = 0; i < a[2].count; i++) groups[i] = load32(a[2].bytes + (size_t)i * 4);
  if (a[3].number != 0xffffffffu) run->umask = (u32)a[3].number & 0777;
  give_stdio(run, uid);
  /* wait-start opens it as that user. In a user namespace `id-maps` has seen to it. */
  if (run->fifo >= 0 && uid) (void)!fchownat(run->fifo, "", uid, (gid_t)-1, AT_EMPTY_PATH);
  if (set_groups(groups, a[2].count)) return fail(errno, "set groups", NULL);
  if (syscall(SYS_setresgid, gid, gid, gid)) return fail(errno, "set group", NULL);
  if (syscall(SYS_setresuid, uid, uid, uid)) return fail(errno, "set user", NULL);
  /* The change of ids cleared these two. */
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (run->death_signal) prctl(PR_SET_PDEATHSIG, run->death_signal);
  return 0;
}

int step_no_new_privs(struct run *run, const struct arg *a) {
  (void)run;
  (void)a;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? fail(errno, "no_new_privs", NULL) : 0;
}

int step_seccomp(struct run *run, const struct arg *a) {
  size_t count = a[0].length / sizeof(struct sock_filter);
  if (!count || count > BPF_MAXINSNS || a[0].length % sizeof(struct sock_filter)) return fail(EINVAL, "seccomp program", NULL);
  int prepared = prepare_exec(run);
  if (prepared) return prepared;
  /* The kernel copies byte by byte: the program's place in the plan need not be aligned. */
  struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)(uintptr_t)a[0].bytes};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, a[1].number, &program) ? fail(errno, "load seccomp filter", NULL) : 0;
}
