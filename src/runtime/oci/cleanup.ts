/** The cgroups of a container whose end we bring about. */
import type { CgroupLayout } from "../../kernel/index.ts";
import { isErrno } from "../../lib/index.ts";
import { cgroupMounts, controllerDir } from "../cgroup-dirs.ts";
import { killCgroup, removeCgroup } from "../cgroup-files.ts";
import { cgroupsPathOf } from "./container-cgroups.ts";
import type { StoredState } from "./container-dir.ts";
import { hostCgroupIo, hostCgroups } from "./host-cgroups.ts";
import { systemdScopes } from "./systemd.ts";

/** SIGKILL to every process, frozen ones too. */
export function killCgroups(stored: StoredState): void {
  killCgroup(hostCgroupIo, hostCgroups(), cgroupsPathOf(stored));
}

/** Kills what is left and removes the cgroups; missing ones are fine. */
export function removeCgroups(stored: StoredState): void {
  if (stored.systemdCgroup === true) systemdScopes().stopScope(cgroupsPathOf(stored));
  const cgroups = hostCgroups();
  const path = cgroupsPathOf(stored);
  const dirs = cgroupMounts(cgroups).map((mount) => `${mount}${path}`);
  // Mostly they are empty: nothing has to be looked for.
  if (path !== "" && dirs.map(tryRemove).every(Boolean)) return;
  removeCgroup(hostCgroupIo, cgroups, path);
}

function tryRemove(dir: string): boolean {
  try {
    host.rmdir(dir);
    return true;
  } catch (error) {
    return isErrno(error, "ENOENT");
  }
}

/** The file that tells whether a container is frozen: freezer.state on v1, cgroup.events on v2. */
export function freezerFile(cgroups: CgroupLayout, cgroupsPath: string): string | undefined {
  const dir = controllerDir(cgroups, "freezer", cgroupsPath);
  if (dir === undefined) return undefined;
  return cgroups.kind === "v2" ? `${dir}/cgroup.events` : `${dir}/freezer.state`;
}
