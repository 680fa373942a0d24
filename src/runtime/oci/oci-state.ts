/** A container's state as `state` and the hooks show it (runtime-spec runtime.md, "State"). */
import { isErrno } from "../../lib/index.ts";
import type { ContainerDir, Status, StoredState } from "./container-dir.ts";

/** In the order in which runc prints them. */
export interface ShownState {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: Status;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly owner: string;
}

/** Asks the freezer only for a process that may be frozen. */
export function shownState(dir: ContainerDir, stored: StoredState, owner = ""): ShownState {
  const { status: alive, letter } = dir.lookAt(stored);
  const status: Status = alive === "running" && isPaused(stored, letter) ? "paused" : alive;
  return {
    ociVersion: stored.ociVersion,
    id: stored.id,
    pid: alive === "stopped" ? 0 : (stored.process?.pid ?? 0),
    status,
    bundle: stored.bundle,
    rootfs: stored.rootfs,
    created: stored.created,
    annotations: stored.annotations,
    owner,
  };
}

/** The state as the specification has it, nothing else: for hooks, and for who listens to a seccomp filter. */
export interface SpecState {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: Status;
  readonly pid: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function hookState(shown: ShownState): SpecState {
  const { ociVersion, id, pid, status, bundle, annotations } = shown;
  return { ociVersion, id, status, pid, bundle, ...(annotations === undefined ? {} : { annotations }) };
}

/** v1: freezer.state, v2: cgroup.events. */
export function isPaused({ freezer }: StoredState, letter = "D"): boolean {
  if (freezer === undefined) return false;
  // Frozen on v1 a process waits uninterruptibly: a look at the others is spared, of which there may be thousands.
  if (freezer.endsWith("/freezer.state") && letter !== "D") return false;
  try {
    return /^(FROZEN|frozen 1)$/m.test(host.readFile(freezer, 4096));
  } catch (error) {
    // ENOENT, ENODEV: the cgroup is gone.
    if (isErrno(error, "ENOENT", "ENODEV")) return false;
    throw error;
  }
}
