/** Memory of processes: proportional set size, in which pages shared with others count by their share. */
import { readdirSync, readFileSync } from "node:fs";

/** Megabytes (10^6 bytes are not used here: 1 MB = 1024 kB, as /proc counts). */
export function pssMb(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Pss: +(\d+) kB$/m.exec(text)?.[1] ?? Number.NaN) / 1024;
}

/** Processes whose command line begins with `prefix` or whose program is called so. */
export function pidsOf(prefix: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      if (line.startsWith(prefix) || (line.split(" ")[0] ?? "").endsWith(`/${prefix}`))
        found.push(Number(name));
    } catch {
      // ENOENT, ESRCH: it has just ended.
    }
  }
  return found;
}
