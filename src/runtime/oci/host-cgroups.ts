/** The machine's cgroups, through the host. */
import { type CgroupLayout, parseCgroupLayout } from "../../kernel/index.ts";
import { isErrno } from "../../lib/index.ts";
import type { CgroupIo } from "../cgroup-io.ts";

const maxControlBytes = 4 << 20;

/** The text of a file of /proc or of a cgroup; undefined when it, or what it tells about, is not there (any more). */
export function tryReadText(path: string): string | undefined {
  try {
    return host.readFile(path, maxControlBytes);
  } catch (error) {
    // ESRCH: the process ended while its file was open. EOPNOTSUPP: a control that this kernel shows but does not fill.
    if (isErrno(error, "ENOENT", "ENODEV", "ESRCH", "EOPNOTSUPP", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** The layout of this machine, as this process sees it. */
export function hostCgroups(): CgroupLayout {
  return parseCgroupLayout(
    host.readFile("/proc/self/mountinfo", maxControlBytes),
    tryReadText("/proc/cgroups") ?? "",
    (mountPoint) => host.readFile(`${mountPoint}/cgroup.controllers`, maxControlBytes),
  );
}

export const hostCgroupIo: CgroupIo = {
  read: tryReadText,
  write: (path, text) => host.writeFile(path, text, 0, 0),
  list(dir) {
    try {
      return host.readdir(dir);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENODEV", "ENOTDIR")) return undefined;
      throw error;
    }
  },
  mkdir: (path) => host.mkdir(path, 0o755),
  rmdir: (path) => host.rmdir(path),
  removeDeep: (path) => host.removeCgroup(path),
  kill: (pid, signal) => host.kill(pid, signal),
  sleep: (ms) => host.sleep(ms),
  setDeviceProgram: (dir, instructions) => host.setDeviceProgram(dir, instructions),
};
