/** Where a container's cgroups lie. */
import { existsSync } from "node:fs";
import type { CgroupLayout } from "../kernel/index.ts";

/** Freezing is part of every cgroup on v2, and listed by no cgroup.controllers. */
function mountOf(cgroups: CgroupLayout, controller: string): string | undefined {
  if (cgroups.kind === "v2") return cgroups.unified;
  return cgroups.controllers[controller];
}

/** Which directory holds the container's cgroup with `controller`; undefined when this machine has no such controller. */
export function controllerDir(
  cgroups: CgroupLayout,
  controller: string,
  cgroupsPath: string,
): string | undefined {
  const mount = mountOf(cgroups, controller);
  return mount === undefined ? undefined : `${mount}${cgroupsPath}`;
}

/** Every existing directory of the container's: one on v2, one a hierarchy on v1. */
export function cgroupDirs(cgroups: CgroupLayout, cgroupsPath: string): readonly string[] {
  const mounts =
    cgroups.kind === "v2" ? [cgroups.unified ?? "/sys/fs/cgroup"] : Object.values(cgroups.controllers);
  return [...new Set(mounts)].map((mount) => `${mount}${cgroupsPath}`).filter((dir) => existsSync(dir));
}
