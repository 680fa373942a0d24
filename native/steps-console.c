/* A pty of the container's own devpts: the slave becomes its stdin, stdout and stderr, the master goes to the monitor. */
#include "inside.h"
#include "steps.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

/* The container may have put anything in place of /dev/pts: what was opened must be a ptmx of a devpts. */
static int open_master(struct run *run) {
  int fd = inside_open(run, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);
  if (fd < 0) return fail(-fd, "open", "/dev/pts/ptmx");
  struct stat status;
  struct statfs type;
  if (!fstat(fd, &status) && !fstatfs(fd, &type) && type.f_type == DEVPTS_SUPER_MAGIC && S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 2))
    return fd;
  close(fd);
  return fail(ENODEV, "not a pty multiplexer:", "/dev/pts/ptmx");
}

static int bind_dev_console(struct run *run, int slave) {
  /* As it is, no link followed, and in no procfs: CVE-2025-52565 had the pty bound over a file of /proc. */
  int target = inside_open(run, "/dev/console", O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
  if (target == -ENOENT) target = inside_make(run, "/dev/console", MAKE_FILE, 0600, NULL);
  if (target < 0) return target;
  struct statfs type;
  if (fstatfs(target, &type) || type.f_type == PROC_SUPER_MAGIC) {
    close(target);
    return -ELOOP;
  }
  int tree = open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  int result = tree < 0 || move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ? -errno : 0;
  close_fd(&tree);
  close(target);
  return result;
}

/* gantry-oci that relays the terminal itself: the user's own adds carriage returns, a pipe or file gets none, as with runc. */
static void plain_output(int slave) {
  struct termios settings;
  if (tcgetattr(slave, &settings)) return;
  settings.c_oflag &= ~(tcflag_t)ONLCR;
  tcsetattr(slave, TCSANOW, &settings);
}

int step_console(struct run *run, const struct arg *a) {
  int master = open_master(run);
  if (master < 0) return master;
  int unlock = 0;
  if (ioctl(master, TIOCSPTLCK, &unlock)) return fail(errno, "unlock pty", NULL);
  /* By ioctl, not by the name /dev/pts/N, which could lead elsewhere. */
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return fail(errno, "open pty", NULL);
  const struct options *options = &run->plan.options;
  struct winsize size = {.ws_row = options->rows, .ws_col = options->cols};
  if (options->rows && options->cols) ioctl(master, TIOCSWINSZ, &size);
  if (options->console_socket && !strncmp(options->console_socket, "fd:", 3)) plain_output(slave);
  int result = a[0].number ? bind_dev_console(run, slave) : 0;
  if (result) return fail(-result, "bind", "/dev/console");
  if (setsid() < 0 && errno != EPERM) return fail(errno, "setsid", NULL);
  if (ioctl(slave, TIOCSCTTY, 0)) return fail(errno, "controlling terminal", NULL);
  for (int fd = 0; fd < 3; fd++)
    if (dup2(slave, fd) < 0) return fail(errno, "dup2", NULL);
  run->console = true;
  result = channel_send(run->channel[1], MESSAGE_CONSOLE, 0, master);
  close(master);
  close(slave);
  return result ? fail(-result, "send the pty to the monitor", NULL) : 0;
}
