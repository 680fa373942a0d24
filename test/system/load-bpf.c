/*
 * For bpf.test.ts: hands a program (file argv[2]) to the kernel.
 *   device FILE           loads it as BPF_PROG_TYPE_CGROUP_DEVICE; prints the verifier's log when it is refused
 *   seccomp FILE FLAGS    installs it, then prints the errno of a few system calls
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static char program[1 << 20], verifier_log[1 << 20];

static int load_device(size_t length) {
  union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE};
  attr.insns = (unsigned long)program;
  attr.insn_cnt = (unsigned)(length / 8);
  attr.license = (unsigned long)"";
  attr.log_buf = (unsigned long)verifier_log;
  attr.log_size = sizeof verifier_log;
  attr.log_level = 1;
  int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
  printf("%s\n", fd >= 0 ? "loaded" : strerror(errno));
  if (fd < 0) puts(verifier_log);
  return fd < 0;
}

static void report(const char *name, long result) { printf("%s %d\n", name, result < 0 ? errno : 0); }

static int install_seccomp(size_t length, unsigned flags) {
  struct sock_fprog filter = {.len = (unsigned short)(length / 8), .filter = (void *)program};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) != 0) {
    printf("%s\n", strerror(errno));
    return 1;
  }
  report("getppid", syscall(SYS_getppid));
  report("unshare", syscall(SYS_unshare, CLONE_NEWUTS));
  report("clone3", syscall(SYS_clone3, NULL, 0));
  report("socket-inet", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
  report("socket-vsock", syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0));
  report("future", syscall(2000));
  return 0;
}

int main(int count, char **words) {
  FILE *file = count < 3 ? NULL : fopen(words[2], "r");
  if (file == NULL) return 2;
  size_t length = fread(program, 1, sizeof program, file);
  setbuf(stdout, NULL);
  return strcmp(words[1], "device") == 0 ? load_device(length) : install_seccomp(length, (unsigned)atoi(words[3]));
}
