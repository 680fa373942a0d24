/** The cgroups of one container. */
import type { CgroupLayout } from "../../kernel/index.ts";
import { cgroupPids, setFrozen } from "../cgroup-files.ts";
import { systemdScope } from "../systemd-unit.ts";
import type { StoredState } from "./container-dir.ts";
import { hostCgroupIo, hostCgroups } from "./host-cgroups.ts";

/** What of a container tells where its cgroups are. */
export type HasCgroups = Pick<StoredState, "config"> & Partial<Pick<StoredState, "id" | "systemdCgroup">>;

/** Below each hierarchy's mount; of a unit of systemd's where that makes the cgroups. */
export function cgroupsPathOf({ config, id = "", systemdCgroup }: HasCgroups): string {
  const path = config.linux?.cgroupsPath ?? "";
  return systemdCgroup === true && path.includes(":") ? systemdScope({ cgroupsPath: path, id }).path : path;
}

/** Every pid of the container, on the host; none when it has no cgroup any more. */
export function containerPids(stored: HasCgroups): readonly number[] {
  return cgroupPids(hostCgroupIo, hostCgroups(), cgroupsPathOf(stored));
}

/** @throws {GantryError} "unsupported" without a freezer, "timeout" when a process does not stop */
export function freezeContainer(stored: StoredState, on: boolean): void {
  setFrozen(hostCgroupIo, hostCgroups(), cgroupsPathOf(stored), on);
}

/** Reads a file of the container's cgroup of a controller; undefined when there is none. */
export function cgroupReader(
  cgroups: CgroupLayout,
  cgroupsPath: string,
): (controller: string, file: string) => string | undefined {
  return (controller, file) => {
    const mount = cgroups.kind === "v2" ? cgroups.unified : cgroups.controllers[controller];
    return mount === undefined ? undefined : hostCgroupIo.read(`${mount}${cgroupsPath}/${file}`);
  };
}
