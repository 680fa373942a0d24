/** The cgroups of a container whose end we bring about. */
import type { CgroupLayout } from "../../kernel/index.ts";
import { controllerDir } from "../cgroup-dirs.ts";
import { killCgroup, removeCgroup } from "../cgroup-files.ts";
import { cgroupsPathOf } from "./container-cgroups.ts";
import type { StoredState } from "./container-dir.ts";
import { hostCgroupIo, hostCgroups } from "./host-cgroups.ts";

/** SIGKILL to every process, frozen ones too. */
export function killCgroups(stored: StoredState): void {
  killCgroup(hostCgroupIo, hostCgroups(), cgroupsPathOf(stored));
}

/** Kills what is left and removes the cgroups; missing ones are fine. */
export function removeCgroups(stored: StoredState): void {
  removeCgroup(hostCgroupIo, hostCgroups(), cgroupsPathOf(stored));
}

/** The file that tells whether a container is frozen: freezer.state on v1, cgroup.events on v2. */
export function freezerFile(cgroups: CgroupLayout, cgroupsPath: string): string | undefined {
  const dir = controllerDir(cgroups, "freezer", cgroupsPath);
  if (dir === undefined) return undefined;
  return cgroups.kind === "v2" ? `${dir}/cgroup.events` : `${dir}/freezer.state`;
}
