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
  /** Of the program, at most 15 bytes, unless the process has given itself another. */
  readonly name: string;
}

/** True while the process runs; a zombie has ended. */
export function isAlive(process: ProcessIdentity): boolean {
  return livingStat(process) !== undefined;
}

/** What the kernel tells of a process while it runs; undefined when it has ended. */
export function livingStat({ pid, startTime }: ProcessIdentity): ProcessStat | undefined {
  const stat = readStat(pid);
  if (stat === undefined || stat.startTime !== startTime) return undefined;
  return stat.state === "Z" || stat.state === "X" ? undefined : stat;
}

/** Undefined when there is no such process. */
export function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(host.readSmall(`/proc/${pid}/stat`, 4096));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}

/** Pure part of `readStat`. The name in parentheses may hold anything, parentheses too. */
export function parseStat(text: string): ProcessStat {
  const nameEnd = text.lastIndexOf(")");
  const fields = text.slice(nameEnd + 2).split(" ", 20);
  return {
    state: fields[0] ?? "",
    startTime: fields[19] ?? "",
    name: text.slice(text.indexOf("(") + 1, nameEnd),
  };
}
