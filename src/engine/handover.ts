/**
 * What an engine leaves to the one that replaces it in its process: the locks of its directories, so that no third one comes
 * between, and a socket at the API's path in which clients queue meanwhile. Named by an environment variable.
 */
import { fstatSync, writeFileSync } from "node:fs";

export interface Handover {
  /** Open files of the locks. */
  readonly locks: readonly number[];
  /** Listens where the engine's own socket is to be. */
  readonly queue: number | undefined;
}

const variable = "GANTRY_HANDOVER";

export function handoverVariable(handover: Handover): Readonly<Record<string, string>> {
  return { [variable]: JSON.stringify([handover.queue ?? -1, ...handover.locks]) };
}

/** What an earlier engine left in this process; taken once. */
export function takeHandover(): Handover | undefined {
  const text = process.env[variable];
  delete process.env[variable];
  if (text === undefined) return undefined;
  const [queue = -1, ...locks] = numbersOf(text).filter((fd) => fd === -1 || isOpen(fd));
  nameProcess();
  return { locks, queue: queue < 0 ? undefined : queue };
}

function numbersOf(text: string): readonly number[] {
  return /^\[-?\d+(?:,\d+)*\]$/.test(text) ? (JSON.parse(text) as number[]) : [];
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    // EBADF: the variable is not ours.
    return false;
  }
}

/** The kernel names a program that was started by its file's number after that number. */
function nameProcess(): void {
  writeFileSync("/proc/self/comm", "gantry");
}
