/* See child.h. */
#include "child.h"

#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

static int try_reap(int pid, int options, int *status) {
  int reaped;
  do reaped = waitpid(pid, status, options);
  while (reaped < 0 && errno == EINTR);
  return reaped < 0 ? -1 : reaped > 0;
}

int reap_child(int pid, int pidfd, int64_t deadline, int *status) {
  if (deadline == NO_DEADLINE) return try_reap(pid, 0, status);
  int reaped = try_reap(pid, WNOHANG, status);
  if (reaped != 0) return reaped;
  int watched = pidfd >= 0 ? pidfd : (int)syscall(SYS_pidfd_open, pid, 0);
  if (watched < 0) return -1;
  int ready = wait_fd(watched, POLLIN, deadline);
  if (watched != pidfd) close(watched);
  return ready <= 0 ? ready : try_reap(pid, WNOHANG, status);
}

int start_child(const struct spawn_request *request, struct spawn_result *child) {
  int error = spawn_program(request, child), status;
  if (error == 0) return 0;
  if (child->pid > 0) try_reap(child->pid, 0, &status);
  if (child->pidfd >= 0) close(child->pidfd);
  return error;
}

static const char *path_of(char *const *env) {
  for (; env != NULL && *env != NULL; env++)
    if (strncmp(*env, "PATH=", 5) == 0) return *env + 5;
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

bool find_program(const char *name, char *const *env, struct path *into) {
  if (strchr(name, '/') != NULL) {
    int length = snprintf(into->text, sizeof into->text, "%s", name);
    return length < (int)sizeof into->text ? true : (errno = ENAMETOOLONG, false);
  }
  errno = ENOENT;
  for (const char *at = path_of(env); *at != '\0' && *name != '\0'; at += *at == ':') {
    size_t length = strcspn(at, ":");
    struct stat found;
    int written = snprintf(into->text, sizeof into->text, "%.*s/%s", (int)length, at, name);
    at += length;
    if (length == 0 || written >= (int)sizeof into->text || stat(into->text, &found) != 0) continue;
    if (S_ISREG(found.st_mode) && access(into->text, X_OK) == 0) return true;
    errno = EACCES;
  }
  return false;
}
