/** The cgroups of one container. */
import type { CgroupLayout } from "../../kernel/index.ts";
import { cgroupPids, setFrozen } from "../cgroup-files.ts";
import type { StoredState } from "./container-dir.ts";
import { hostCgroupIo, hostCgroups } from "./host-cgroups.ts";

/** Below each hierarchy's mount. */
export function cgroupsPathOf({ config }: Pick<StoredState, "config">): string {
  return config.linux?.cgroupsPath ?? "";
}

/** Every pid of the container, on the host; none when it has no cgroup any more. */
export function containerPids(stored: Pick<StoredState, "config">): readonly number[] {
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
