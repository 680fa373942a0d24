/** The cgroup that holds all containers' cgroups: gone with the engine when it is empty. */
import { rmdirSync } from "node:fs";
import { join } from "node:path";
import type { CgroupLayout } from "../kernel/index.ts";
import { isErrno } from "../lib/index.ts";
import { cgroupParent, type EnginePaths } from "./paths.ts";

/** The mounts of all hierarchies, each once. */
export function hierarchies({ controllers, unified }: CgroupLayout): readonly string[] {
  return [...new Set([...Object.values(controllers), ...(unified === undefined ? [] : [unified])])];
}

/** Containers that go on keep it. */
export function removeEmptyParent(cgroups: CgroupLayout, paths: EnginePaths): void {
  for (const mount of hierarchies(cgroups)) {
    try {
      rmdirSync(join(mount, cgroupParent(paths)));
    } catch (error) {
      // EBUSY, ENOTEMPTY: it holds containers. ENOENT: none was ever started.
      if (!isErrno(error, "EBUSY", "ENOTEMPTY", "ENOENT", "EROFS", "EPERM", "EACCES")) throw error;
    }
  }
}
