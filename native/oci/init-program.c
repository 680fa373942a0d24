/* gantry-init, embedded, as a sealed memory file: what is executed has no path that a container could reach (CVE-2019-5736). */
#include "host.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

extern const char gantry_init_start[], gantry_init_end[];
/* Of the linker's own section, so that --gc-sections keeps it only when it is used. */
__asm__(".section .rodata.gantry_init,\"a\"\n"
        ".balign 16\n"
        ".global gantry_init_start, gantry_init_end\n"
        "gantry_init_start: .incbin \"" GANTRY_INIT "\"\n"
        "gantry_init_end:\n"
        ".previous\n");

static int fill_and_seal(int fd) {
  const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (write_fully(fd, gantry_init_start, (size_t)(gantry_init_end - gantry_init_start)) != 0) return -1;
  if (fchmod(fd, 0500) != 0) return -1;
  return fcntl(fd, F_ADD_SEALS, seals);
}

int init_program(void) {
  static int kept = -1;
  if (kept >= 0) return kept;
  int fd = memfd_create("gantry-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  /* Kernels before 6.3 do not know MFD_EXEC; there every memory file is executable. */
  if (fd < 0 && errno == EINVAL) fd = memfd_create("gantry-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return -1;
  if (fill_and_seal(fd) != 0) {
    int error = errno;
    close(fd);
    return errno = error, -1;
  }
  return kept = fd;
}
