/*
 * spawn: starts a program from an open fd or a path.
 *
 * Safety: the child shares our memory (CLONE_VM) and runs on a stack of its own while this thread sleeps (CLONE_VFORK).
 * Between clone and exec it calls system calls only, allocates nothing, takes no lock, and writes to nothing but `struct
 * launch`. It has its own fd table and its own table of signal handlers (no CLONE_FILES, no CLONE_SIGHAND), so that what it
 * changes there is not seen here. All signals are blocked around it: no handler of ours can run in the shared memory.
 */
#include "sys-spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024, LAST_SIGNAL = 64 };

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define __asan_unpoison_memory_region(address, size) ((void)(address), (void)(size))
#endif

struct launch {
  const struct spawn_request *request;
  int null_fd;
  int error;
  const char *step;
};

static int fail(struct launch *launch, const char *step) {
  launch->error = errno;
  launch->step = step;
  return -1;
}

/* A handler of ours must not run in the child, and what is ignored here would stay ignored after exec. Raw, because glibc
 * refuses the two signals that it keeps for threads, and those too may have been inherited ignored. */
static void reset_signals(void) {
  struct {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
  } standard = {0};
  for (int number = 1; number <= LAST_SIGNAL; number++)
    syscall(SYS_rt_sigaction, number, &standard, NULL, sizeof standard.mask);
}

/*
 * Puts fds[i] at number i. First every source is copied to a number above all targets, so that no dup2 overwrites a source
 * that is still needed; the copies are close-on-exec. `fds` is changed in place: it is the child's to use.
 */
static int place_fds(struct launch *launch, int *program) {
  int count = launch->request->fd_count;
  int *fds = launch->request->fds;
  if (launch->request->path == NULL) {
    *program = fcntl(launch->request->program, F_DUPFD_CLOEXEC, count);
    if (*program < 0) return fail(launch, "dup");
  }
  for (int i = 0; i < count; i++) {
    fds[i] = fcntl(fds[i] < 0 ? launch->null_fd : fds[i], F_DUPFD_CLOEXEC, count);
    if (fds[i] < 0) return fail(launch, "dup");
  }
  for (int i = 0; i < count; i++) {
    if (dup2(fds[i], i) < 0) return fail(launch, "dup2");
  }
  if (syscall(SYS_close_range, (unsigned)count, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return fail(launch, "close_range");
  return 0;
}

static int enter_place(struct launch *launch) {
  const struct spawn_request *request = launch->request;
  if (request->own_group && setpgid(0, 0) != 0) return fail(launch, "setpgid");
  if (request->cwd != NULL && chdir(request->cwd) != 0) return fail(launch, "chdir");
  return 0;
}

static void run_program(struct launch *launch, int program) {
  const struct spawn_request *request = launch->request;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (request->path != NULL) {
    syscall(SYS_execve, request->path, request->argv, request->env);
    fail(launch, "execve");
  } else {
    syscall(SYS_execveat, program, "", request->argv, request->env, AT_EMPTY_PATH);
    fail(launch, "execveat");
  }
}

static int run_child(void *argument) {
  struct launch *launch = argument;
  int program = -1;
  reset_signals();
  if (place_fds(launch, &program) == 0 && enter_place(launch) == 0) run_program(launch, program);
  _exit(127);
}

/* The stack lies between two unmapped pages, so that an overflow faults instead of writing into our heap. */
static void *map_stack(size_t page) {
  char *base = mmap(NULL, STACK_BYTES + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return NULL;
  if (mprotect(base + page, STACK_BYTES, PROT_READ | PROT_WRITE) != 0) {
    munmap(base, STACK_BYTES + 2 * page);
    return NULL;
  }
  /* An earlier child left its stack by exec, in the middle of everything; the checker remembers that of the address. */
  __asan_unpoison_memory_region(base + page, STACK_BYTES);
  return base;
}

int spawn_program(const struct spawn_request *request, struct spawn_result *result) {
  struct launch launch = {.request = request, .null_fd = open("/dev/null", O_RDWR | O_CLOEXEC)};
  *result = (struct spawn_result){.pid = -1, .pidfd = -1, .step = "open"};
  if (launch.null_fd < 0) return -errno;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *stack = map_stack(page);
  if (stack == NULL) {
    int error = errno;
    close(launch.null_fd);
    result->step = "mmap";
    return -error;
  }

  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int pid = clone(run_child, stack + page + STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &launch,
                  &result->pidfd);
  int clone_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);

  munmap(stack, STACK_BYTES + 2 * page);
  close(launch.null_fd);
  result->step = "clone";
  if (pid < 0) return -clone_error;
  result->pid = pid;
  result->step = launch.step;
  return -launch.error;
}
