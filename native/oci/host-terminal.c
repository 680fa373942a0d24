/* The caller's terminal. */
#include "host.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static volatile sig_atomic_t raw_fd = -1;

void restore_terminal(void) {
  if (raw_fd < 0) return;
  int error = errno;
  tcsetattr((int)raw_fd, TCSANOW, &before);
  raw_fd = -1;
  errno = error;
}

/* The signal then does what it would have done. */
static void restore_and_die(int number) {
  restore_terminal();
  signal(number, SIG_DFL);
  raise(number);
}

static void watch_deadly_signals(void) {
  static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM, SIGXCPU};
  struct sigaction action = {.sa_handler = restore_and_die};
  for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
    struct sigaction old;
    if (sigaction(deadly[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) sigaction(deadly[i], &action, NULL);
  }
}

HOST_FUNCTION(host_is_terminal) {
  UNUSED_SELF;
  int fd;
  if (!take_int(ctx, argv[0], &fd)) return JS_EXCEPTION;
  return JS_NewBool(ctx, isatty(fd));
}

HOST_FUNCTION(host_window_size) {
  UNUSED_SELF;
  int fd;
  struct winsize size;
  if (!take_int(ctx, argv[0], &fd)) return JS_EXCEPTION;
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) return throw_errno(ctx, errno, "TIOCGWINSZ", NULL);
  JSValue result = JS_NewObject(ctx);
  set_member(ctx, result, "rows", JS_NewInt32(ctx, size.ws_row));
  set_member(ctx, result, "cols", JS_NewInt32(ctx, size.ws_col));
  return result;
}

HOST_FUNCTION(host_set_window_size) {
  UNUSED_SELF;
  int fd, rows, cols;
  if (!take_int(ctx, argv[0], &fd) || !take_int(ctx, argv[1], &rows) || !take_int(ctx, argv[2], &cols)) return JS_EXCEPTION;
  if (rows < 0 || rows > UINT16_MAX || cols < 0 || cols > UINT16_MAX) return throw_errno(ctx, EINVAL, "TIOCSWINSZ", NULL);
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};
  return done_or_throw(ctx, ioctl(fd, TIOCSWINSZ, &size), "TIOCSWINSZ", NULL);
}

HOST_FUNCTION(host_raw_terminal) {
  UNUSED_SELF;
  int fd;
  struct termios settings;
  if (!take_int(ctx, argv[0], &fd)) return JS_EXCEPTION;
  if (tcgetattr(fd, &settings) != 0) return throw_errno(ctx, errno, "tcgetattr", NULL);
  if (raw_fd < 0) before = settings;
  raw_fd = fd;
  watch_deadly_signals();
  cfmakeraw(&settings);
  settings.c_oflag |= OPOST; /* the container's pty adds no carriage returns (step console) */
  return done_or_throw(ctx, tcsetattr(fd, TCSANOW, &settings), "tcsetattr", NULL);
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("isTerminal", 1, host_is_terminal),
    JS_CFUNC_DEF("windowSize", 1, host_window_size),
    JS_CFUNC_DEF("setWindowSize", 3, host_set_window_size),
    JS_CFUNC_DEF("rawTerminal", 1, host_raw_terminal),
};
HOST_TABLE(host_terminal_table, entries);
