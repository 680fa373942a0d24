/** Whether a process of this machine still runs. */
import { readFileSync } from "node:fs";

/** A zombie has ended: whoever started it has not looked yet. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    // ENOENT, ESRCH: gone.
    return false;
  }
}
