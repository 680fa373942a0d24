/** A container's state as `state` and the hooks show it (runtime-spec runtime.md, "State"). */
import type { ContainerDir, Status, StoredState } from "./container-dir.ts";

export interface ShownState {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: Status;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner: string;
}

/** Asks the freezer only for a process that runs, so that the modules for cgroups are not loaded in vain. */
export async function shownState(dir: ContainerDir, stored: StoredState): Promise<ShownState> {
  const alive = dir.statusOf(stored);
  const status: Status = alive === "running" && (await isPaused(stored)) ? "paused" : alive;
  const { annotations, ociVersion } = stored.config;
  return {
    ociVersion,
    id: stored.id,
    pid: alive === "stopped" ? 0 : (stored.process?.pid ?? 0),
    status,
    bundle: stored.bundle,
    rootfs: stored.rootfs,
    created: stored.created,
    ...(annotations === undefined ? {} : { annotations }),
    owner: "",
  };
}

async function isPaused(stored: StoredState): Promise<boolean> {
  const [{ detectCgroups }, { isFrozen }] = await Promise.all([
    import("../../kernel/index.ts"),
    import("../cgroup-files.ts"),
  ]);
  return isFrozen(detectCgroups(), stored.config.linux?.cgroupsPath ?? "");
}
