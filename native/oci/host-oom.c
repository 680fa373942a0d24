/* Notices from the kernel about cgroups and files: eventfd of cgroup v1's memory controller, inotify. */
#include "host.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Closes what is not negative and keeps errno. */
static void close_two(int first, int second) {
  int kept = errno;
  if (first >= 0) close(first);
  if (second >= 0) close(second);
  errno = kept;
}

/* cgroup-v1/memory.rst, "10. OOM Control": "EVENTFD FD-OF-memory.oom_control" into cgroup.event_control beside it. */
static int register_event(int event, int control, const char *file) {
  char path[HOST_PATH_MAX + sizeof "cgroup.event_control"], line[32];
  const char *slash = strrchr(file, '/');
  if (slash == NULL) return errno = EINVAL, -1;
  snprintf(path, sizeof path, "%.*s/cgroup.event_control", (int)(slash - file), file);
  int length = snprintf(line, sizeof line, "%d %d", event, control);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t written = write(fd, line, (size_t)length);
  close_two(fd, -1);
  return written == length ? 0 : -1;
}

/* oomEvents(file): an eventfd that becomes readable when the v1 cgroup of this memory.oom_control is out of memory, or gone. */
HOST_FUNCTION(host_oom_events) {
  UNUSED_SELF;
  struct path path;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  int control = open(path.text, O_RDONLY | O_CLOEXEC);
  if (control < 0) return throw_errno(ctx, errno, "open", path.text);
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event < 0 || register_event(event, control, path.text) < 0) {
    close_two(control, event);
    return throw_errno(ctx, errno, "register an event", path.text);
  }
  /* The registration lives with the eventfd alone. */
  close(control);
  return JS_NewInt32(ctx, event);
}

/* watchFile(file): an inotify fd that becomes readable when the file is modified, as cgroup v2 says of its event files. */
HOST_FUNCTION(host_watch_file) {
  UNUSED_SELF;
  struct path path;
  if (!take_path(ctx, argv[0], &path)) return JS_EXCEPTION;
  int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0) return throw_errno(ctx, errno, "inotify_init1", path.text);
  if (inotify_add_watch(fd, path.text, IN_MODIFY) < 0) {
    close_two(fd, -1);
    return throw_errno(ctx, errno, "inotify_add_watch", path.text);
  }
  return JS_NewInt32(ctx, fd);
}

static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_DEF("oomEvents", 1, host_oom_events),
    JS_CFUNC_DEF("watchFile", 1, host_watch_file),
};
HOST_TABLE(host_oom_table, entries);
