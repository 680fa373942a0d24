/** Whether a pid still is the process that it was. */
import { isErrno } from "../../lib/index.ts";

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat. */
  readonly startTime: string;
}

export interface ProcessStat {
  /** One letter, such as "S"; "Z" and "X" have ended. */
  readonly state: string;
  readonly startTime: string;
}

/** True while the process runs; a zombie has ended. */
export function isAlive(process: ProcessIdentity): boolean {
  return livingState(process) !== undefined;
}

/** The letter of a process's state while it runs, such as "S"; undefined when it has ended. */
export function livingState({ pid, startTime }: ProcessIdentity): string | undefined {
  const stat = readStat(pid);
  if (stat === undefined || stat.startTime !== startTime) return undefined;
  return stat.state === "Z" || stat.state === "X" ? undefined : stat.state;
}

/** Undefined when there is no such process. */
export function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(host.readFile(`/proc/${pid}/stat`, 4096));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}

/** Pure part of `readStat`. The name in parentheses may hold anything, parentheses too. */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", startTime: fields[19] ?? "" };
}
