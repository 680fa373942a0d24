/** `gantry-oci kill`. */
import { detectCgroups, loadSys, type Sys } from "../../kernel/index.ts";
import { GantryError, isErrno } from "../../lib/index.ts";
import { cgroupPids } from "../cgroup-files.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { isAlive } from "./process-identity.ts";
import { parseSignal } from "./signals.ts";

export async function kill({ global, flags }: VerbInput): Promise<number> {
  const [id = "", word = "SIGTERM"] = expectWords("kill", flags, 1, 2);
  const signal = parseSignal(word);
  const dir = new ContainerDir(global.root, id);
  const stored = dir.read();
  if (flags.is("all")) {
    for (const pid of cgroupPids(detectCgroups(), stored.config.linux?.cgroupsPath ?? ""))
      signalPid(pid, signal);
    return 0;
  }
  if (!signalFirst(loadSys(), stored, signal)) throw new GantryError("conflict", "container not running");
  return 0;
}

/** Signals the container's first process, and no later one of the same pid. False when it has ended. */
export function signalFirst(sys: Sys, stored: StoredState, signal: number): boolean {
  if (stored.process === undefined) return false;
  let pidfd: number;
  try {
    pidfd = sys.pidfdOpen(stored.process.pid);
  } catch (error) {
    if (isErrno(error, "ESRCH")) return false;
    throw error;
  }
  try {
    // The pidfd is open: if the start time is right now, it is that process's.
    if (!isAlive(stored.process)) return false;
    sys.pidfdSignal(pidfd, signal);
    return true;
  } catch (error) {
    if (isErrno(error, "ESRCH")) return false;
    throw error;
  } finally {
    sys.close(pidfd);
  }
}

function signalPid(pid: number, signal: number): void {
  if (pid <= 0) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it has ended meanwhile.
    if (!isErrno(error, "ESRCH")) throw error;
  }
}
