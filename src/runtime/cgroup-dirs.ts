/** Where a container's cgroups lie. Paths are as in `linux.cgroupsPath`. */
import type { CgroupLayout } from "../kernel/index.ts";
import type { CgroupIo } from "./cgroup-io.ts";

/** Which directory holds the container's cgroup with `controller`; undefined when this machine has no such controller. */
export function controllerDir(
  cgroups: CgroupLayout,
  controller: string,
  cgroupsPath: string,
): string | undefined {
  const mount = mountOf(cgroups, controller);
  return mount === undefined ? undefined : `${mount}${cgroupsPath}`;
}

/** "cgroup", and on v2 freezing, are part of every cgroup and listed by no cgroup.controllers. */
function mountOf(cgroups: CgroupLayout, controller: string): string | undefined {
  if (cgroups.kind === "v2" || controller === "cgroup") return cgroups.unified;
  return cgroups.controllers[controller];
}

/** Every existing directory of the container's: one on v2, one a hierarchy on v1, both kinds on hybrid. */
export function cgroupDirs(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string): readonly string[] {
  return cgroupMounts(cgroups)
    .map((mount) => `${mount}${cgroupsPath}`)
    .filter((dir) => io.read(`${dir}/cgroup.procs`) !== undefined);
}

/** The mount point of each hierarchy. */
export function cgroupMounts(cgroups: CgroupLayout): readonly string[] {
  if (cgroups.kind === "v2") return [cgroups.unified ?? "/sys/fs/cgroup"];
  const unified = cgroups.unified === undefined ? [] : [cgroups.unified];
  return [...new Set([...Object.values(cgroups.controllers), ...unified])];
}
