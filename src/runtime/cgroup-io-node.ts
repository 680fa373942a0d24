/** CgroupIo of the engine. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { isErrno, toGantryError } from "../lib/index.ts";
import type { CgroupIo } from "./cgroup-io.ts";

export const nodeCgroupIo: CgroupIo = {
  read(path) {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      // EOPNOTSUPP: a file that this configuration of the kernel shows but does not fill.
      if (isErrno(error, "ENOENT", "ENODEV", "EOPNOTSUPP", "ENOTDIR")) return undefined;
      throw toGantryError(error, `read ${path}`);
    }
  },
  // r+: a control file is never created.
  write: (path, text) => writeFileSync(path, text, { flag: "r+" }),
  list(dir) {
    try {
      return readdirSync(dir);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENODEV", "ENOTDIR")) return undefined;
      throw toGantryError(error, `list ${dir}`);
    }
  },
  mkdir: (path) => mkdirSync(path, 0o755),
  rmdir: (path) => rmdirSync(path),
  kill: (pid, signal) => void process.kill(pid, signal),
  sleep: (ms) => Bun.sleepSync(ms),
};
