/** Whether a recorded process is still the one it was. */
import { readFileSync } from "node:fs";
import { isErrno } from "../../lib/index.ts";
import type { Started } from "../../runtime/index.ts";

/** A pid alone may be another process's by now: its start time tells. */
export function isSameProcess({ pid, startTime }: Pick<Started, "pid" | "startTime">): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // Field 3 is the state: a zombie has ended. Field 22 is the start time.
    return fields[19] === startTime && fields[0] !== "Z";
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return false;
    throw error;
  }
}
