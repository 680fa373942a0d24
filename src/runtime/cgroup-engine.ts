/** The cgroup functions of the engine: node's files, and waiting that blocks nobody. */
import type { CgroupLayout } from "../kernel/index.ts";
import { cgroupDirs } from "./cgroup-dirs.ts";
import * as files from "./cgroup-files.ts";
import * as late from "./cgroup-late.ts";
import { freezeDeadlineMs, freezePollMs, freezerOf, notFrozen } from "./cgroup-freeze.ts";
import { nodeCgroupIo } from "./cgroup-io-node.ts";
import { killAll, removeDeadlineMs, stillInUse, tryRemove } from "./cgroup-remove.ts";
import type { CgroupStats } from "./cgroup-stats.ts";
import type { OciResources } from "./oci-types.ts";

const retryMs = 10;

/** @see cgroup-freeze.ts */
export async function setFrozen(cgroups: CgroupLayout, cgroupsPath: string, on: boolean): Promise<void> {
  const freezer = freezerOf(nodeCgroupIo, cgroups, cgroupsPath);
  const until = performance.now() + freezeDeadlineMs;
  freezer.set(on);
  while (!freezer.reached(on)) {
    if (performance.now() > until) throw notFrozen(freezer, on);
    await Bun.sleep(freezePollMs);
  }
}

/** True when the container's processes stand still. */
export function isFrozen(cgroups: CgroupLayout, cgroupsPath: string): boolean {
  return files.isFrozen(nodeCgroupIo, cgroups, cgroupsPath);
}

/** @see cgroup-update.ts */
export function updateResources(cgroups: CgroupLayout, cgroupsPath: string, resources: OciResources): void {
  files.updateResources(nodeCgroupIo, cgroups, cgroupsPath, resources);
}

/** @see cgroup-late.ts */
export function enterHierarchy(cgroups: CgroupLayout, cgroupsPath: string, controller: string): void {
  late.enterHierarchy(nodeCgroupIo, cgroups, cgroupsPath, controller);
}

/** @see cgroup-stats.ts */
export function readCgroupStats(cgroups: CgroupLayout, cgroupsPath: string): CgroupStats {
  return files.readCgroupStats(nodeCgroupIo, cgroups, cgroupsPath);
}

/** Every pid of the container, on the host; empty when it has no cgroup any more. */
export function cgroupPids(cgroups: CgroupLayout, cgroupsPath: string): readonly number[] {
  return files.cgroupPids(nodeCgroupIo, cgroups, cgroupsPath);
}

/** Sends SIGKILL to every process of the container, frozen ones too. */
export async function killCgroup(cgroups: CgroupLayout, cgroupsPath: string): Promise<void> {
  for (const dir of cgroupDirs(nodeCgroupIo, cgroups, cgroupsPath)) killAll(nodeCgroupIo, dir);
  if (isFrozen(cgroups, cgroupsPath)) await setFrozen(cgroups, cgroupsPath, false);
}

/**
 * Kills what is left and removes all cgroups of the container; a missing one is fine.
 * @throws {GantryError} "conflict" when one is still in use after 5 s
 */
export async function removeCgroup(cgroups: CgroupLayout, cgroupsPath: string): Promise<void> {
  await killCgroup(cgroups, cgroupsPath);
  for (const dir of cgroupDirs(nodeCgroupIo, cgroups, cgroupsPath)) await removeCgroupDir(dir);
}

/** Kills what lives in one cgroup directory and removes it with those below. @throws {GantryError} "conflict" after 5 s */
export async function removeCgroupDir(dir: string): Promise<void> {
  const until = performance.now() + removeDeadlineMs;
  while (!tryRemove(nodeCgroupIo, dir)) {
    if (performance.now() > until) throw stillInUse(dir);
    killAll(nodeCgroupIo, dir);
    await Bun.sleep(retryMs);
  }
}

/** The container's cgroup in each hierarchy that has one, for planExec. */
export function existingCgroupDirs(cgroups: CgroupLayout, cgroupsPath: string): readonly string[] {
  return cgroupDirs(nodeCgroupIo, cgroups, cgroupsPath);
}
