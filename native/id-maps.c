/* Writing the id maps of a process in a new user namespace: by this process, or by newuidmap and newgidmap. */
#include "namespaces.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DENY_GROUPS = 2, TOOL_MS = 20000, MAX_WORDS = 1024, MAP_BYTES = 16384 };

static int write_proc(pid_t pid, const char *file, const char *data, size_t length) {
  char path[64];
  struct text text = {path, sizeof path, 0};
  text_add(&text, "/proc/");
  text_add_number(&text, (u64)pid);
  text_add(&text, "/");
  text_add(&text, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  /* In one write: the kernel takes no second one. */
  int result = write(fd, data, length) == (ssize_t)length ? 0 : errno ? -errno : -EIO;
  close(fd);
  return result;
}

/* Reads what a program says, to its end or the deadline; keeps the beginning, on one line. */
static void read_words(int fd, char *words, size_t room, i64 deadline) {
  size_t length = 0;
  for (;;) {
    char bytes[256];
    i64 left = deadline - now_ms();
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (left <= 0 || poll(&wait, 1, (int)left) <= 0) break;
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n <= 0) break;
    for (ssize_t i = 0; i < n && length + 1 < room; i++) words[length++] = bytes[i] == '\n' ? ' ' : bytes[i];
  }
  while (length && words[length - 1] == ' ') length--;
  words[length] = 0;
}

static _Noreturn void run_tool(char **argv, int output) {
  static char *const env[] = {NULL};
  u64 none = 0;
  dup2(output, 1);
  dup2(output, 2);
  syscall(SYS_close_range, 3, ~0u, 0);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
  execve(argv[0], argv, env);
  _exit(126);
}

/* newuidmap PID INSIDE OUTSIDE COUNT … */
static int call_tool(const char *tool, pid_t pid, const char *map) {
  static char words[256];
  char text[MAP_BYTES], number[24], *argv[MAX_WORDS + 3];
  struct text pid_text = {number, sizeof number, 0};
  size_t count = 0;
  if (strlen(map) >= sizeof text) return fail(E2BIG, "id map for", tool);
  strcpy(text, map);
  text_add_number(&pid_text, (u64)pid);
  argv[count++] = (char *)(uintptr_t)tool;
  argv[count++] = number;
  for (char *rest = text, *word; (word = strsep(&rest, " \n"));)
    if (*word && count < MAX_WORDS) argv[count++] = word;
  argv[count] = NULL;
  int pipes[2];
  if (pipe2(pipes, O_CLOEXEC)) return fail(errno, "pipe", NULL);
  pid_t child = fork();
  if (!child) run_tool(argv, pipes[1]);
  close(pipes[1]);
  if (child > 0) read_words(pipes[0], words, sizeof words, now_ms() + TOOL_MS);
  close(pipes[0]);
  if (child < 0) return fail(errno, "fork", tool);
  int status = 0;
  /* It has closed its output, or has had its time. */
  for (int tries = 0; tries < 200 && !waitpid(child, &status, WNOHANG); tries++) usleep(5000);
  if (waitpid(child, &status, WNOHANG) == 0) {
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
  }
  if (WIFEXITED(status) && !WEXITSTATUS(status)) return 0;
  return *words ? fail(EPERM, NULL, words) : fail(EPERM, "it failed:", tool);
}

static int write_map(pid_t pid, const char *file, const struct arg *map, const struct arg *tool) {
  if (tool->length) return call_tool(tool->text, pid, map->text);
  int result = write_proc(pid, file, map->text, map->length);
  return result ? fail(-result, "write", file) : 0;
}

int write_id_maps(pid_t pid, const struct arg *a) {
  if (a[2].number & DENY_GROUPS) {
    int result = write_proc(pid, "setgroups", "deny", 4);
    if (result) return fail(-result, "write", "setgroups");
  }
  int result = write_map(pid, "gid_map", &a[1], &a[4]);
  return result ? result : write_map(pid, "uid_map", &a[0], &a[3]);
}
