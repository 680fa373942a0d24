/* Processes: memory files, spawn, pidfds (signals, reaping), limits. */
#include "sys.h"
#include "sys-spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

enum {
  MAX_LIST_ITEMS = 4096,
  MAX_STRING_BYTES = 128 * 1024, /* MAX_ARG_STRLEN */
  MAX_CHILD_FDS = 1024,
  MEMFD_NAME_MAX = 200,
  DETACH_TIMEOUT_MS = 10000,
};

static int write_all(int fd, const uint8_t *data, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, data, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return -1;
    data += written;
    length -= (size_t)written;
  }
  return 0;
}

static napi_value sys_memfd(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  char name[MEMFD_NAME_MAX];
  take_string(&call, 0, name, sizeof name);
  struct bytes bytes = take_bytes(&call, 1);
  if (failed(&call)) return NULL;
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  /* Kernels before 6.3 do not know MFD_EXEC; there every memory file is executable. */
  if (fd < 0 && errno == EINVAL) fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return throw_errno(env, errno, "memfd_create", name);
  if (write_all(fd, bytes.data, bytes.length) != 0 || fchmod(fd, 0500) != 0 ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    int error = errno;
    close(fd);
    return throw_errno(env, error, "memfd_create", name);
  }
  return make_int(env, fd);
}

static void free_strings(char **strings) {
  if (strings == NULL) return;
  for (char **string = strings; *string != NULL; string++) free(*string);
  free(strings);
}

/* One malloc'd string of a JavaScript list; NULL after throwing. */
static char *copy_item(napi_env env, napi_value list, uint32_t index) {
  napi_value item;
  size_t length = 0;
  if (napi_get_element(env, list, index, &item) != napi_ok ||
      napi_get_value_string_utf8(env, item, NULL, 0, &length) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "argv and env must be lists of strings");
    return NULL;
  }
  if (length >= MAX_STRING_BYTES) return (void)throw_errno(env, E2BIG, "spawn", NULL), NULL;
  char *copy = malloc(length + 1);
  if (copy == NULL) return (void)throw_errno(env, ENOMEM, "spawn", NULL), NULL;
  napi_get_value_string_utf8(env, item, copy, length + 1, &length);
  if (strlen(copy) != length) {
    free(copy);
    return (void)throw_errno(env, EINVAL, "spawn", "a string with a NUL byte"), NULL;
  }
  return copy;
}

/* The length of list `name` of the request, or -1 after throwing. */
static int64_t open_list(napi_env env, napi_value request, const char *name, uint32_t limit, napi_value *list) {
  uint32_t count = 0;
  bool is_array = false;
  if (napi_get_named_property(env, request, name, list) != napi_ok || napi_is_array(env, *list, &is_array) != napi_ok ||
      !is_array || napi_get_array_length(env, *list, &count) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "a spawn request has the lists argv, env and fds");
    return -1;
  }
  if (count > limit) {
    throw_errno(env, E2BIG, "spawn", name);
    return -1;
  }
  return count;
}

static char **copy_strings(napi_env env, napi_value request, const char *name) {
  napi_value list;
  int64_t count = open_list(env, request, name, MAX_LIST_ITEMS, &list);
  if (count < 0) return NULL;
  char **strings = calloc((size_t)count + 1, sizeof *strings);
  if (strings == NULL) return (void)throw_errno(env, ENOMEM, "spawn", NULL), NULL;
  for (uint32_t i = 0; i < (uint32_t)count; i++) {
    strings[i] = copy_item(env, list, i);
    if (strings[i] == NULL) {
      free_strings(strings);
      return NULL;
    }
  }
  return strings;
}

static bool copy_fds(napi_env env, napi_value request, int *fds, int *count) {
  napi_value list, item;
  int64_t length = open_list(env, request, "fds", MAX_CHILD_FDS, &list);
  if (length < 0) return false;
  for (uint32_t i = 0; i < (uint32_t)length; i++) {
    if (napi_get_element(env, list, i, &item) != napi_ok || napi_get_value_int32(env, item, &fds[i]) != napi_ok) {
      napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "fds must be numbers");
      return false;
    }
  }
  *count = (int)length;
  return true;
}

static bool read_scalars(napi_env env, napi_value request, int *program, bool *wait) {
  napi_value value;
  if (napi_get_named_property(env, request, "file", &value) != napi_ok ||
      napi_get_value_int32(env, value, program) != napi_ok ||
      napi_get_named_property(env, request, "wait", &value) != napi_ok ||
      napi_get_value_bool(env, value, wait) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "a spawn request has a number `file` and a boolean `wait`");
    return false;
  }
  return true;
}

static int reap(int pid, int options, int *status) {
  int result;
  do result = waitpid(pid, status, options);
  while (result < 0 && errno == EINTR);
  return result;
}

static int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

/* Waits for a program that detaches at once. One that does not within the limit is killed: the caller must not hang. */
static int wait_bounded(const struct spawn_result *child, int *status) {
  struct pollfd ready = {.fd = child->pidfd, .events = POLLIN};
  int polled;
  do polled = poll(&ready, 1, DETACH_TIMEOUT_MS);
  while (polled < 0 && errno == EINTR);
  if (polled == 0) syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
  if (reap(child->pid, 0, status) < 0) return errno;
  return polled == 0 ? ETIMEDOUT : 0;
}

static napi_value finish_spawn(napi_env env, int error, const struct spawn_result *child, bool wait) {
  int status = 0;
  if (error != 0) {
    if (child->pid > 0) reap(child->pid, 0, &status);
    if (child->pidfd >= 0) close(child->pidfd);
    return throw_errno(env, -error, child->step, NULL);
  }
  int wait_error = wait ? wait_bounded(child, &status) : 0;
  close(child->pidfd);
  if (wait_error != 0) return throw_errno(env, wait_error, "waitpid", NULL);
  napi_value result;
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  set_field(env, result, "pid", make_int(env, child->pid));
  if (wait) set_field(env, result, "status", make_int(env, exit_code(status)));
  return result;
}

static napi_value sys_spawn(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  if (failed(&call)) return NULL;
  napi_value request = call.argument[0], result = NULL;
  int fds[MAX_CHILD_FDS];
  bool wait = false;
  struct spawn_request plan = {.fds = fds};
  if (!read_scalars(env, request, &plan.program, &wait) || !copy_fds(env, request, fds, &plan.fd_count)) return NULL;
  plan.argv = copy_strings(env, request, "argv");
  plan.env = plan.argv == NULL ? NULL : copy_strings(env, request, "env");
  if (plan.env != NULL) {
    struct spawn_result child;
    int error = spawn_program(&plan, &child);
    result = finish_spawn(env, error, &child, wait);
  }
  free_strings(plan.argv);
  free_strings(plan.env);
  return result;
}

/* Bun ignores SIGPIPE and may block signals; both would outlive exec. Handlers of ours do not. */
static void clear_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
}

/* Replaces this process; the kernel ends its other threads. Returns only after a failure. */
static napi_value sys_exec(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  if (failed(&call)) return NULL;
  napi_value request = call.argument[0], file;
  int program = -1;
  if (napi_get_named_property(env, request, "file", &file) != napi_ok ||
      napi_get_value_int32(env, file, &program) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "an exec request has a number `file`");
    return NULL;
  }
  char **argv = copy_strings(env, request, "argv");
  char **environment = argv == NULL ? NULL : copy_strings(env, request, "env");
  if (environment != NULL) {
    clear_signals();
    syscall(SYS_execveat, program, "", argv, environment, AT_EMPTY_PATH);
    throw_errno(env, errno, "execveat", NULL);
  }
  free_strings(argv);
  free_strings(environment);
  return NULL;
}

static napi_value sys_reap(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int pid = take_int(&call, 0);
  if (failed(&call)) return NULL;
  /* 0 and negative numbers would reap children that belong to others in this process. */
  if (pid <= 0) return throw_errno(env, EINVAL, "waitpid", NULL);
  int status = 0;
  int result = reap(pid, WNOHANG, &status);
  if (result < 0) return throw_errno(env, errno, "waitpid", NULL);
  return result == 0 ? make_undefined(env) : make_int(env, exit_code(status));
}

static napi_value sys_pidfd_open(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int pid = take_int(&call, 0);
  if (failed(&call)) return NULL;
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  return fd < 0 ? throw_errno(env, errno, "pidfd_open", NULL) : make_int(env, fd);
}

static napi_value sys_pidfd_signal(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = take_int(&call, 0), number = take_int(&call, 1);
  if (failed(&call)) return NULL;
  return done_or_throw(env, (int)syscall(SYS_pidfd_send_signal, fd, number, NULL, 0), "pidfd_send_signal", NULL);
}

static napi_value sys_set_child_subreaper(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  bool on = take_bool(&call, 0);
  if (failed(&call)) return NULL;
  return done_or_throw(env, prctl(PR_SET_CHILD_SUBREAPER, (unsigned long)on, 0, 0, 0), "prctl", NULL);
}

/* For the calling thread only, as namespaces are; what it starts has no more. Bits beyond the kernel's last capability are
 * EINVAL and those that are gone already EPERM without CAP_SETPCAP: neither leaves more than before. */
static napi_value sys_limit_rights(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  uint64_t keep = (uint64_t)take_bigint(&call, 0);
  if (failed(&call)) return NULL;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2] = {{0}};
  if (syscall(SYS_capget, &header, data) != 0) return throw_errno(env, errno, "capget", NULL);
  for (unsigned long capability = 0; capability < 64; capability++)
    if ((keep >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int half = 0; half < 2; half++) {
    data[half].permitted &= (uint32_t)(keep >> (32 * half));
    data[half].effective = data[half].permitted;
    data[half].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, data) != 0) return throw_errno(env, errno, "capset", NULL);
  return done_or_throw(env, prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0, 0, 0), "prctl", NULL);
}

static napi_value sys_raise_file_limit(napi_env env, napi_callback_info info) {
  (void)info;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return throw_errno(env, errno, "getrlimit", NULL);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return throw_errno(env, errno, "setrlimit", NULL);
  return make_int(env, (int64_t)limit.rlim_cur);
}

/* Unmaps the pages of program text, which the page cache keeps: the next call of any of it is a minor fault. Only mappings
 * of files that are executable and not writable, which are never dirty. Safe from any thread: a page that another thread
 * executes at this moment faults in again. */
static napi_value sys_trim_text(napi_env env, napi_callback_info info) {
  (void)info;
  FILE *maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) return throw_errno(env, errno, "open", "/proc/self/maps");
  char line[SYS_PATH_MAX + 128];
  int64_t trimmed = 0;
  while (fgets(line, sizeof line, maps) != NULL) {
    unsigned long from, to, inode;
    if (sscanf(line, "%lx-%lx r-xp %*s %*s %lu", &from, &to, &inode) != 3 || inode == 0) continue;
    if (madvise((void *)from, to - from, MADV_DONTNEED) == 0) trimmed += (int64_t)(to - from);
  }
  fclose(maps);
  return make_int(env, trimmed);
}

const struct sys_function sys_process_functions[] = {
    {"memfd", sys_memfd},
    {"spawn", sys_spawn},
    {"exec", sys_exec},
    {"reap", sys_reap},
    {"pidfdOpen", sys_pidfd_open},
    {"pidfdSignal", sys_pidfd_signal},
    {"setChildSubreaper", sys_set_child_subreaper},
    {"limitRights", sys_limit_rights},
    {"raiseFileLimit", sys_raise_file_limit},
    {"trimText", sys_trim_text},
    {NULL, NULL},
};
