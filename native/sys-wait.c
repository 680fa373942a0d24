/*
 * pidfdWait: promises for the end of processes. One epoll thread serves every wait of an environment.
 *
 * Ownership: a `struct wait` belongs to the JavaScript thread until epoll_ctl(ADD), then to the epoll thread until it is
 * handed to the thread-safe function, then to `resolve_wait`, which frees it. The fd in it is a copy of ours, so that the
 * caller may close its own at any time. When the environment ends, the thread is told by `stop` and joined.
 */
#include "sys.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 64 };

struct wait {
  napi_deferred deferred;
  int pidfd;
};

struct waiter {
  int epoll;
  int stop;
  pthread_t thread;
  napi_threadsafe_function resolve;
  /* Touched by the JavaScript thread only. */
  size_t pending;
};

/* Runs on the JavaScript thread. `env` is NULL when the environment is ending: nothing can be resolved any more. */
static void resolve_wait(napi_env env, napi_value callback, void *context, void *data) {
  (void)callback;
  struct waiter *waiter = context;
  struct wait *wait = data;
  if (env != NULL) {
    napi_resolve_deferred(env, wait->deferred, make_undefined(env));
    /* A process with nothing left to wait for may end. */
    if (--waiter->pending == 0) napi_unref_threadsafe_function(env, waiter->resolve);
  }
  free(wait);
}

/* Runs on the epoll thread, with all signals blocked. Calls nothing of JavaScript but the thread-safe function. */
static void *watch(void *argument) {
  struct waiter *waiter = argument;
  struct epoll_event events[EVENTS_AT_ONCE];
  for (;;) {
    int count = epoll_wait(waiter->epoll, events, EVENTS_AT_ONCE, -1);
    if (count < 0 && errno != EINTR) return NULL;
    for (int i = 0; i < count; i++) {
      struct wait *wait = events[i].data.ptr;
      if (wait == NULL) return NULL;
      epoll_ctl(waiter->epoll, EPOLL_CTL_DEL, wait->pidfd, NULL);
      close(wait->pidfd);
      if (napi_call_threadsafe_function(waiter->resolve, wait, napi_tsfn_blocking) != napi_ok) free(wait);
    }
  }
}

static void stop_waiter(void *argument) {
  struct waiter *waiter = argument;
  uint64_t one = 1;
  if (write(waiter->stop, &one, sizeof one) == sizeof one) pthread_join(waiter->thread, NULL);
  close(waiter->epoll);
  close(waiter->stop);
  /* The struct stays: the environment may still call resolve_wait for what is queued. */
}

static int start_thread(struct waiter *waiter) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&waiter->thread, NULL, watch, waiter);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

static int open_waiter(struct waiter *waiter) {
  waiter->epoll = epoll_create1(EPOLL_CLOEXEC);
  waiter->stop = eventfd(0, EFD_CLOEXEC);
  struct epoll_event stop = {.events = EPOLLIN, .data.ptr = NULL};
  if (waiter->epoll < 0 || waiter->stop < 0) return errno;
  return epoll_ctl(waiter->epoll, EPOLL_CTL_ADD, waiter->stop, &stop) == 0 ? start_thread(waiter) : errno;
}

/* The waiter of this environment, made at the first wait; NULL after throwing. */
static struct waiter *get_waiter(napi_env env) {
  void *existing = NULL;
  if (napi_get_instance_data(env, &existing) == napi_ok && existing != NULL) return existing;
  struct waiter *waiter = calloc(1, sizeof *waiter);
  napi_value name;
  if (waiter == NULL) return (void)throw_errno(env, ENOMEM, "pidfdWait", NULL), NULL;
  if (napi_create_string_utf8(env, "gantry.pidfdWait", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, waiter, resolve_wait,
                                      &waiter->resolve) != napi_ok) {
    free(waiter);
    return (void)throw_errno(env, ENOMEM, "pidfdWait", NULL), NULL;
  }
  napi_unref_threadsafe_function(env, waiter->resolve);
  int error = open_waiter(waiter);
  if (error != 0) {
    if (waiter->epoll >= 0) close(waiter->epoll);
    if (waiter->stop >= 0) close(waiter->stop);
    napi_release_threadsafe_function(waiter->resolve, napi_tsfn_abort);
    return (void)throw_errno(env, error, "epoll_create", NULL), NULL;
  }
  napi_set_instance_data(env, waiter, NULL, NULL);
  napi_add_env_cleanup_hook(env, stop_waiter, waiter);
  return waiter;
}

static napi_value sys_pidfd_wait(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int pidfd = take_int(&call, 0);
  if (failed(&call)) return NULL;
  struct waiter *waiter = get_waiter(env);
  if (waiter == NULL) return NULL;
  struct wait *wait = calloc(1, sizeof *wait);
  if (wait == NULL) return throw_errno(env, ENOMEM, "pidfdWait", NULL);
  wait->pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
  napi_value promise = NULL;
  if (wait->pidfd < 0 || napi_create_promise(env, &wait->deferred, &promise) != napi_ok) {
    int error = wait->pidfd < 0 ? errno : ENOMEM;
    if (wait->pidfd >= 0) close(wait->pidfd);
    free(wait);
    return throw_errno(env, error, "pidfdWait", NULL);
  }
  /* Held before the thread can see it: the answer may come at once. */
  if (waiter->pending++ == 0) napi_ref_threadsafe_function(env, waiter->resolve);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = wait};
  if (epoll_ctl(waiter->epoll, EPOLL_CTL_ADD, wait->pidfd, &event) != 0) {
    int error = errno;
    close(wait->pidfd);
    /* A deferred must be settled to be released; nobody holds its promise. */
    resolve_wait(env, NULL, waiter, wait);
    return throw_errno(env, error, "epoll_ctl", NULL);
  }
  return promise;
}

const struct sys_function sys_wait_functions[] = {
    {"pidfdWait", sys_pidfd_wait},
    {NULL, NULL},
};
