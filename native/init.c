/* A PID 1 that does what the kernel expects of one: reaps orphans, hands signals on, ends with its command. */
#include "init.h"

#include "base.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *command, const char *words) {
  char line[512];
  struct text text = {line, sizeof line, 0};
  text_add(&text, "gantry-init: ");
  text_add(&text, command);
  text_add(&text, words);
  (void)!write(2, line, text.length);
}

/* Own process group, in the foreground if there is a terminal: ^C reaches the command and not this process. */
static _Noreturn void become(char **argv, const sigset_t *mask) {
  setpgid(0, 0);
  /* Without a terminal on stdin this is refused; SIGTTOU, which it would send, is blocked still. */
  tcsetpgrp(0, getpid());
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(argv[0], argv);
  say(argv[0], errno == ENOENT ? ": not found\n" : ": cannot be run\n");
  _exit(errno == ENOENT ? 127 : 126);
}

static int code_of(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

/* Returns true when the command itself has ended. */
static bool reap_all(pid_t command, int *code) {
  int status;
  pid_t pid;
  bool ended = false;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid != command) continue;
    *code = code_of(status);
    ended = true;
  }
  return ended;
}

int init_main(char **argv) {
  sigset_t all, before;
  int code = 0;
  prctl(PR_SET_NAME, "gantry-init");
  if (!argv[0]) return 127;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_t command = fork();
  if (command < 0) {
    say(argv[0], ": cannot fork\n");
    return 126;
  }
  if (!command) become(argv, &before);
  for (;;) {
    siginfo_t info;
    int number = sigwaitinfo(&all, &info);
    if (number < 0) continue;
    if (number == SIGCHLD) {
      if (reap_all(command, &code)) return code;
    } else {
      kill(command, number);
    }
  }
}
