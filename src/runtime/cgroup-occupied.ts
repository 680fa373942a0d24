/** A container's cgroup is its own: it is removed with all that is in it when the container ends. */
import type { CgroupLayout } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import { cgroupDirs } from "./cgroup-dirs.ts";
import { isFrozen } from "./cgroup-freeze.ts";
import type { CgroupIo } from "./cgroup-io.ts";
import { pidsBelow } from "./cgroup-remove.ts";

/** @throws {GantryError} "conflict" when somebody lives in the cgroup of a container to be, or when it is frozen */
export function refuseOccupied(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string): void {
  const dirs = cgroupDirs(io, cgroups, cgroupsPath);
  if (dirs.length === 0) return;
  const pids = new Set(dirs.flatMap((dir) => pidsBelow(io, dir)));
  if (pids.size > 0)
    throw new GantryError("conflict", `container's cgroup is not empty: ${pids.size} process(es) found`, {
      hint: `the cgroup ${cgroupsPath} is in use; give the container another in linux.cgroupsPath`,
      fields: { path: "linux.cgroupsPath" },
    });
  if (isFrozen(io, cgroups, cgroupsPath))
    throw new GantryError("conflict", "container's cgroup unexpectedly frozen", {
      hint: `thaw the cgroup ${cgroupsPath}, or give the container another in linux.cgroupsPath`,
      fields: { path: "linux.cgroupsPath" },
    });
}
