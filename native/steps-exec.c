/* The last steps: waiting for `start`, finding the program, becoming it. */
#include "mounts.h"
#include "operations.h"
#include "steps.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *path_of(const struct arg *env) {
  const u8 *cursor = env->bytes;
  for (u32 i = 0; i < env->count; i++) {
    const char *entry = next_string(&cursor);
    if (!strncmp(entry, "PATH=", 5)) return entry + 5;
  }
  return DEFAULT_PATH;
}

static int runnable(const char *file) {
  struct stat status;
  if (stat(file, &status)) return -errno;
  if (S_ISDIR(status.st_mode)) return -EISDIR; /* docker has words of its own for it */
  if (!S_ISREG(status.st_mode)) return -EACCES;
  return faccessat(AT_FDCWD, file, X_OK, AT_EACCESS) ? -errno : 0;
}

/* What execvp finds: a name with a slash is a path; else the first runnable file of PATH. EACCES wins over ENOENT. */
static int find_program(const char *name, const char *path, char found[PATH_MAX]) {
  struct text text = {found, PATH_MAX, 0};
  if (!*name) return -ENOENT;
  if (strchr(name, '/')) {
    text_add(&text, name);
    return text.length == strlen(name) ? runnable(found) : -ENAMETOOLONG;
  }
  int result = -ENOENT;
  while (*path) {
    size_t length = strcspn(path, ":");
    text.length = 0;
    /* An empty entry would mean the working directory: not searched, as docker does not. */
    if (length && length + strlen(name) + 2 < PATH_MAX) {
      memcpy(found, path, length);
      found[text.length = length] = 0;
      text_add(&text, "/");
      text_add(&text, name);
      int one = runnable(found);
      if (!one) return 0;
      if (one == -EACCES) result = one;
    }
    path += length + (path[length] == ':');
  }
  return result;
}

/* Everything above 2 goes with execve; preserved fds move down over the control connection's place. */
static int arrange_fds(u32 preserved) {
  for (u32 i = 0; i < preserved; i++)
    if (dup2((int)(4 + i), (int)(3 + i)) < 0) return fail(errno, "preserved file descriptor", NULL);
  if (syscall(SYS_close_range, 3 + preserved, ~0u, CLOSE_RANGE_CLOEXEC)) return fail(errno, "close file descriptors", NULL);
  return 0;
}

/* A signal that ends every ordinary process ends this one, too, while it waits: the first process of a pid namespace gets
 * only signals that it has a handler for. execve takes the handlers back. */
static void end_by(int number) { _exit(128 + number); }

static void end_by_signals(void) {
  static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
  for (size_t i = 0; i < COUNT(ending); i++) signal(ending[i], end_by);
}

/* A filter knows the program's calls, not ours: what exec needs beside execve is done before one is loaded. With `create` a
 * program that cannot be found must not be reported as created. */
int prepare_exec(struct run *run) {
  struct cursor cursor = {0};
  struct step step;
  struct arg a[MAX_ARGUMENTS];
  char found[PATH_MAX];
  int result = 0;
  if (run->prepared) return 0;
  run->prepared = true;
  while (plan_next(&run->plan, &cursor, SECTION_CONTAINER, &step)) {
    if (step.op == OP_IDS && !decode("44U4", step.payload, step.length, a) && a[3].number != 0xffffffffu)
      run->umask = (u32)a[3].number & 0777;
    if (step.op != OP_EXEC || !run->plan.fifo || decode("SS1", step.payload, step.length, a)) continue;
    const u8 *argv = a[0].bytes;
    const char *name = next_string(&argv);
    if ((result = find_program(name, path_of(&a[1]), found))) return fail(-result, NULL, name);
  }
  umask(run->umask);
  if (run->plan.fifo && getpid() == 1) end_by_signals();
  return arrange_fds(run->plan.options.preserved);
}

/* A /proc of processes alone, mounted nowhere: who got hold of it would find nothing of the host in it. Without a kernel or the
 * rights for that, the host's. */
int open_own_proc(void) {
  int context = fsopen("proc", FSOPEN_CLOEXEC), proc = -1;
  if (context >= 0 && !fsconfig(context, FSCONFIG_SET_STRING, "subset", "pid", 0) && !fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
    proc = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  close_fd(&context);
  return proc >= 0 ? proc : open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* While a container waits, nothing of the host is held open but the fifo and the way to it. */
static void close_others(const struct run *run) {
  u32 preserved = run->plan.options.preserved;
  const int kept[] = {run->channel[1], run->fifo, run->proc, run->self_exe};
  u32 from = 3 + (preserved ? preserved : 1);
  for (;;) {
    /* The lowest kept one from `from` on; what lies before it goes. */
    u32 next = ~0u;
    for (size_t i = 0; i < COUNT(kept); i++)
      if (kept[i] >= (int)from && (u32)kept[i] < next) next = (u32)kept[i];
    if (next > from) syscall(SYS_close_range, from, next == ~0u ? next : next - 1, 0u);
    if (next == ~0u) return;
    from = next + 1;
  }
}

int step_wait_start(struct run *run, const struct arg *a) {
  int result = prepare_exec(run);
  if (result) return result;
  close_others(run);
  char name[40];
  struct text text = {name, sizeof name, 0};
  text_add(&text, "self/fd/");
  text_add_number(&text, (u64)run->fifo);
  /* From here on the monitor may be gone (gantry-oci create). */
  prctl(PR_SET_PDEATHSIG, 0);
  if ((result = channel_send(run->channel[1], MESSAGE_READY, 0, -1))) return fail(-result, "tell the monitor", NULL);
  int dir = run->proc >= 0 ? run->proc : open_own_proc();
  int fd;
  do fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) return fail(errno, "wait for start at", a[0].text);
  result = write_all(fd, "0", 1);
  run->starter = fd; /* closed by execve */
  return result ? fail(-result, "wait for start at", a[0].text) : 0;
}

/* As execvp: a name with a slash is a path; else each directory of PATH is tried. No call but execve, which is all that a
 * filter must allow. Returns -errno. */
static int execute(const char *name, const char *path, char **argv, char **env) {
  char file[PATH_MAX];
  struct text text = {file, sizeof file, 0};
  int result = -ENOENT;
  if (strchr(name, '/')) {
    execve(name, argv, env);
    return -errno;
  }
  while (*name && *path) {
    size_t length = strcspn(path, ":");
    text.length = 0;
    /* An empty entry would mean the working directory: not searched, as docker does not. */
    if (length && length + strlen(name) + 2 < PATH_MAX) {
      memcpy(file, path, length);
      file[text.length = length] = 0;
      text_add(&text, "/");
      text_add(&text, name);
      execve(file, argv, env);
      if (errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ELOOP) return -errno;
      if (errno == EACCES) result = -EACCES;
    }
    path += length + (path[length] == ':');
  }
  return result;
}

/* Docker has words of its own for a directory; execve calls it EACCES. */
static int name_directory(const char *name, int result) {
  struct stat status;
  return result == -EACCES && strchr(name, '/') && !stat(name, &status) && S_ISDIR(status.st_mode) ? -EISDIR : result;
}

int step_exec(struct run *run, const struct arg *a) {
  /* Room for "gantry-init init --" in front. */
  char **words = (char **)(void *)run->plan.scratch, **argv = words + 3, **env = list_pointers(&a[0], argv);
  list_pointers(&a[1], env);
  add_home(env);
  int result = prepare_exec(run);
  if (result) return result;
  /* Without the step the container outlives the monitor, as it must when only the monitor's program is at fault. */
  if (!run->death_signal) prctl(PR_SET_PDEATHSIG, 0);
  run->shared->executing = 1;
  if (a[2].number) {
    words[0] = "gantry-init";
    words[1] = "init";
    words[2] = "--";
    syscall(SYS_execveat, run->self_exe, "", words, env, AT_EMPTY_PATH);
    return fail(errno, NULL, argv[0]);
  }
  result = execute(argv[0], path_of(&a[1]), argv, env);
  struct stat status;
  bool lacks_interpreter = result == -ENOENT && strchr(argv[0], '/') && !stat(argv[0], &status);
  return fail(-name_directory(argv[0], result), lacks_interpreter ? "interpreter of" : NULL, argv[0]);
}
