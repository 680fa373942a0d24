/** `gantry-oci kill`. */
import { GantryError, isErrno } from "../../lib/index.ts";
import { killCgroups } from "./cleanup.ts";
import { containerPids, freezeContainer } from "./container-cgroups.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { isPaused } from "./oci-state.ts";
import { isAlive, type ProcessIdentity } from "./process-identity.ts";
import { parseSignal, SIGKILL } from "./signals.ts";

export function kill({ global, flags }: VerbInput): number {
  const [id = "", word = "SIGTERM"] = expectWords("kill", flags, 1, 2);
  const dir = new ContainerDir(global.root, id);
  const stored = dir.read();
  const signal = parseSignal(word);
  if (flags.is("all")) {
    for (const pid of containerPids(stored)) signalPid(pid, signal);
    return 0;
  }
  const reached = signal === SIGKILL ? killFirst(stored) : signalFirst(stored, signal);
  if (!reached) throw new GantryError("conflict", "container not running");
  return 0;
}

/**
 * SIGKILL as runc sends it: a frozen process is let go so that it can end, and without a pid namespace of its own, whose
 * processes would end with the first one, every process of the container gets it. False when there is none.
 */
function killFirst(stored: StoredState): boolean {
  if (ownsPids(stored)) {
    if (!signalFirst(stored, SIGKILL)) return false;
    if (isPaused(stored)) freezeContainer(stored, false);
    return true;
  }
  const pids = containerPids(stored);
  const reached = signalFirst(stored, SIGKILL);
  if (pids.length > 0) killCgroups(stored);
  return reached || pids.length > 0;
}

/** True when no process of the container outlives the first one. */
export function ownsPids({ config }: StoredState): boolean {
  return (config.linux?.namespaces ?? []).some(({ type, path = "" }) => type === "pid" && path === "");
}

/** Signals the container's first process, and no later one of the same pid. False when it has ended. */
export function signalFirst({ process }: StoredState, signal: number): boolean {
  return process !== undefined && signalProcess(process, signal);
}

/** As signalFirst, for any process. */
export function signalProcess(process: ProcessIdentity, signal: number): boolean {
  let pidfd: number;
  try {
    pidfd = host.pidfdOpen(process.pid);
  } catch (error) {
    if (isErrno(error, "ESRCH")) return false;
    throw error;
  }
  try {
    // The pidfd is open: if the start time is right now, it is that process's.
    if (!isAlive(process)) return false;
    host.pidfdSignal(pidfd, signal);
    return true;
  } catch (error) {
    if (isErrno(error, "ESRCH")) return false;
    throw error;
  } finally {
    host.close(pidfd);
  }
}

function signalPid(pid: number, signal: number): void {
  if (pid <= 0) return;
  try {
    host.kill(pid, signal);
  } catch (error) {
    // ESRCH: it has ended meanwhile.
    if (!isErrno(error, "ESRCH")) throw error;
  }
}
