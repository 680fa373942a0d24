/* gantry-init: PROTOCOL.md. No policy; everything it does was decided by the plan it is given. */
#include "init.h"
#include "monitor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The spawner's child ends at once; this goes on in a session of its own, without a terminal. */
static int detach(void) {
  pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid > 0) _exit(0);
  setsid();
  if (chdir("/")) return -errno;
  /* Fds 0..2 of the spawner are not held; the container's process gets these where it has no pipe. */
  int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (null < 0) return -errno;
  for (int fd = 0; fd < 3; fd++)
    if (dup2(null, fd) < 0) return -errno;
  close(null);
  return 0;
}

static int run_plan(char **argv, bool relay) {
  static struct run run = {
      .control = 3,
      .pidfd = -1,
      .channel = {-1, -1},
      .stdio = {-1, -1, -1},
      .ends = {-1, -1, -1},
      .root = -1,
      .self_exe = -1,
      .proc = -1,
      .fifo = -1,
      .starter = -1,
      .null_dir = -1,
  };
  struct stat status;
  u64 all = ~0ull;
  run.relay = relay;
  if (fstat(3, &status) || !S_ISSOCK(status.st_mode)) return 2;
  /* Not even the same user may look into this process, or into the child before it executes (ptrace, /proc/PID). */
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  prctl(PR_SET_NAME, "gantry-init");
  umask(022);
  /* Blocked for good: a monitor ends with its container; mode run reads them from a signalfd. */
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
  if (relay && detach() < 0) return 1;
  run.argv = argv;
  return monitor_main(&run);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  if (!strcmp(mode, "monitor")) return run_plan(argv, true);
  if (!strcmp(mode, "run")) return run_plan(argv, false);
  if (!strcmp(mode, "init") && argc > 3 && !strcmp(argv[2], "--")) return init_main(argv + 3);
  if (!strcmp(mode, "confine") && argc > 4) return confine_main(argv + 2);
  static const char words[] = "gantry-init is started by gantry; there is nothing to run by hand\n";
  (void)!write(2, words, sizeof words - 1);
  return 2;
}
