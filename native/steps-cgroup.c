/* Removing a cgroup with all that is in it, on v1 and v2, and the device program of v2. */
#include "steps.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { REMOVE_MS = 2000, FIRST_PAUSE_US = 200, LONGEST_PAUSE_US = 50000, DEEPEST = 32 };

static void write_in(int dir, const char *name, const char *value) {
  int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return; /* not on this kind of hierarchy */
  (void)write_all(fd, value, strlen(value));
  close(fd);
}

/* v1 has no cgroup.kill: every pid that is listed gets SIGKILL. A pid read here can have been reused by the time of the
 * kill only if its process ended in between; the pids come straight from the kernel, the window is microseconds, and
 * pids are handed out round-robin. */
static void kill_listed(int dir) {
  char pids[4096];
  int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  size_t kept = 0;
  for (;;) {
    ssize_t n = read(fd, pids + kept, sizeof pids - 1 - kept);
    if (n <= 0) break;
    size_t length = kept + (size_t)n, start = 0;
    for (size_t i = 0; i < length; i++) {
      if (pids[i] != '\n') continue;
      pid_t pid = 0;
      for (size_t d = start; d < i; d++) pid = pid * 10 + (pids[d] - '0');
      start = i + 1;
      /* 0 stands for a process outside this pid namespace; 1 is never ours. */
      if (pid > 1 && pid != getpid()) kill(pid, SIGKILL);
    }
    kept = length - start;
    memmove(pids, pids + start, kept);
    if (kept == sizeof pids - 1) break;
  }
  close(fd);
}

static void kill_all_in(int dir) {
  if (!faccessat(dir, "cgroup.kill", W_OK, 0)) {
    write_in(dir, "cgroup.kill", "1");
    return;
  }
  kill_listed(dir);
  /* What is frozen dies only after it is thawed. */
  write_in(dir, "freezer.state", "THAWED");
}

/* getdents64 into a stack buffer: opendir would allocate. */
struct entry {
  u64 inode;
  i64 offset;
  u16 length;
  u8 type;
  char name[];
};

/* Removes `name` below `parent` with its descendants. One pass: -EBUSY when processes are still on their way out. */
static int remove_tree(int parent, const char *name, int depth) {
  if (!unlinkat(parent, name, AT_REMOVEDIR) || errno == ENOENT) return 0;
  if (errno != EBUSY && errno != ENOTEMPTY) return -errno;
  if (depth == DEEPEST) return -ELOOP;
  int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (dir < 0) return errno == ENOENT ? 0 : -errno;
  kill_all_in(dir);
  _Alignas(struct entry) char buffer[2048];
  long n;
  while ((n = syscall(SYS_getdents64, dir, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < n;) {
      const struct entry *entry = (const struct entry *)(buffer + at);
      at += entry->length;
      if (entry->type == DT_DIR && strcmp(entry->name, ".") && strcmp(entry->name, "..")) remove_tree(dir, entry->name, depth + 1);
    }
  }
  close(dir);
  if (!unlinkat(parent, name, AT_REMOVEDIR) || errno == ENOENT) return 0;
  return -errno;
}

int step_remove_cgroup(struct run *run, const struct arg *a) {
  (void)run;
  i64 deadline = now_ms() + REMOVE_MS;
  long pause = FIRST_PAUSE_US;
  int result;
  while ((result = remove_tree(AT_FDCWD, a[0].text, 0)) == -EBUSY && now_ms() < deadline) {
    struct timespec time = {0, pause * 1000};
    nanosleep(&time, NULL);
    if (pause < LONGEST_PAUSE_US) pause *= 2;
  }
  return result ? fail(-result, "remove cgroup", a[0].text) : 0;
}

static int bpf(int command, union bpf_attr *attributes) { return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes); }

static int load_device_program(const struct arg *program) {
  static const char *const licences[] = {"Apache-2.0", "GPL"};
  union bpf_attr load = {0};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = (u64)(uintptr_t)program->bytes;
  load.insn_cnt = program->length / sizeof(struct bpf_insn);
  int fd = -1;
  for (size_t i = 0; i < COUNT(licences) && fd < 0; i++) {
    load.license = (u64)(uintptr_t)licences[i];
    fd = bpf(BPF_PROG_LOAD, &load);
  }
  return fd < 0 ? -errno : fd;
}

int step_cgroup_devices(struct run *run, const struct arg *a) {
  (void)run;
  if (!a[1].length || a[1].length % sizeof(struct bpf_insn)) return fail(EINVAL, "device program", a[0].text);
  int dir = open(a[0].text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return fail(errno, "open", a[0].text);
  int program = load_device_program(&a[1]);
  int result = program < 0 ? fail(-program, "load device program", a[0].text) : 0;
  if (program >= 0) {
    union bpf_attr attach = {0};
    attach.target_fd = (u32)dir;
    attach.attach_bpf_fd = (u32)program;
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    if (bpf(BPF_PROG_ATTACH, &attach)) result = fail(errno, "attach device program", a[0].text);
    close(program);
  }
  close(dir);
  return result;
}
