/**
 * Working on the cgroups of a running container, for v1, hybrid and v2, synchronously: gantry-oci's. The engine waits without
 * blocking (cgroup-engine.ts). Paths are as in `linux.cgroupsPath`.
 */
import type { CgroupLayout } from "../kernel/index.ts";
import { cgroupDirs } from "./cgroup-dirs.ts";
import { isFrozen, setFrozen } from "./cgroup-freeze.ts";
import type { CgroupIo } from "./cgroup-io.ts";
import { killAll, pidsBelow, removeCgroupDir } from "./cgroup-remove.ts";

export { isFrozen, setFrozen } from "./cgroup-freeze.ts";
export { readCgroupStats } from "./cgroup-stats.ts";
export { updateResources } from "./cgroup-update.ts";

/** Every pid of the container, on the host; empty when it has no cgroup any more. */
export function cgroupPids(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string): readonly number[] {
  const dir = cgroupDirs(io, cgroups, cgroupsPath)[0];
  return dir === undefined ? [] : [...new Set(pidsBelow(io, dir))];
}

/** Sends SIGKILL to every process of the container, frozen ones too. */
export function killCgroup(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string): void {
  for (const dir of cgroupDirs(io, cgroups, cgroupsPath)) killAll(io, dir);
  if (isFrozen(io, cgroups, cgroupsPath)) setFrozen(io, cgroups, cgroupsPath, false);
}

/**
 * Kills what is left and removes all cgroups of the container; a missing one is fine.
 * @throws {GantryError} "conflict" when one is still in use after 5 s
 */
export function removeCgroup(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string): void {
  const dirs = cgroupDirs(io, cgroups, cgroupsPath);
  if (dirs.length === 0) return;
  killCgroup(io, cgroups, cgroupsPath);
  for (const dir of dirs) removeCgroupDir(io, dir);
}
