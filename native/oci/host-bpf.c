/* setDeviceProgram: the device program of a cgroup v2 directory is replaced. */
#include "host.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PROGRAMS_MOST = 64 };

static int bpf(int command, union bpf_attr *attributes) { return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes); }

static uint64_t pointer(const void *to) { return (uint64_t)(uintptr_t)to; }

/* Kernels before 5.18 want a licence that they know to be free for some helpers; ours uses none, so any will do. */
static int load_program(const struct bytes *program) {
  static const char *const licences[] = {"Apache-2.0", "GPL"};
  union bpf_attr load;
  memset(&load, 0, sizeof load);
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = pointer(program->data);
  load.insn_cnt = (uint32_t)(program->length / sizeof(struct bpf_insn));
  int fd = -1;
  for (size_t i = 0; i < 2 && fd < 0; i++) {
    load.license = pointer(licences[i]);
    fd = bpf(BPF_PROG_LOAD, &load);
  }
  return fd;
}

/* The ids of the programs of this very cgroup; -1 with errno. */
static int attached_programs(int dir, uint32_t *ids) {
  union bpf_attr query;
  memset(&query, 0, sizeof query);
  query.query.target_fd = (uint32_t)dir;
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = pointer(ids);
  query.query.prog_cnt = PROGRAMS_MOST;
  return bpf(BPF_PROG_QUERY, &query) != 0 ? -1 : (int)query.query.prog_cnt;
}

static int change_attachment(int command, int dir, int program) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = (uint32_t)dir;
  attributes.attach_bpf_fd = (uint32_t)program;
  attributes.attach_type = BPF_CGROUP_DEVICE;
  if (command == BPF_PROG_ATTACH) attributes.attach_flags = BPF_F_ALLOW_MULTI;
  return bpf(command, &attributes);
}

static int detach_by_id(int dir, uint32_t id) {
  union bpf_attr by_id;
  memset(&by_id, 0, sizeof by_id);
  by_id.prog_id = id;
  int program = bpf(BPF_PROG_GET_FD_BY_ID, &by_id);
  if (program < 0) return errno == ENOENT ? 0 : -1;
  int result = change_attachment(BPF_PROG_DETACH, dir, program), error = errno;
  close(program);
  return errno = error, result;
}

/* The new one is attached before the old ones go: all must allow, so that at no moment more is allowed than by either. */
static int replace_program(int dir, int program, const char **call) {
  uint32_t old[PROGRAMS_MOST];
  *call = "BPF_PROG_QUERY";
  int count = attached_programs(dir, old);
  if (count < 0) return -1;
  *call = "BPF_PROG_ATTACH";
  if (change_attachment(BPF_PROG_ATTACH, dir, program) != 0) return -1;
  *call = "BPF_PROG_DETACH";
  for (int i = 0; i < count; i++)
    if (detach_by_id(dir, old[i]) != 0) return -1;
  return 0;
}

HOST_FUNCTION(host_set_device_program) {
  UNUSED_SELF;
  struct path path;
  struct bytes bytes;
  if (!take_path(ctx, argv[0], &path) || !take_bytes(ctx, argv[1], &bytes)) return JS_EXCEPTION;
  if (bytes.length == 0 || bytes.length % sizeof(struct bpf_insn) != 0)
    return throw_errno(ctx, EINVAL, "BPF_PROG_LOAD", path.text);
  int dir = open(path.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return throw_errno(ctx, errno, "open", path.text);
  const char *call = "BPF_PROG_LOAD";
  int program = load_program(&bytes);
  int result = program < 0 ? -1 : replace_program(dir, program, &call), error = errno;
  if (program >= 0) close(program);
  close(dir);
  return result == 0 ? JS_UNDEFINED : throw_errno(ctx, error, call, path.text);
}

static const JSCFunctionListEntry entries[] = {JS_CFUNC_DEF("setDeviceProgram", 2, host_set_device_program)};
HOST_TABLE(host_bpf_table, entries);
