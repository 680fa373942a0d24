/** How much a directory takes on disk. */
import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";
import { isErrno } from "../lib/index.ts";

/** Bytes of all files below `dir`, hard links once; 0 when it does not exist. Follows no links. */
export async function treeBytes(dir: string): Promise<number> {
  const seen = new Set<string>();
  const waiting = [dir];
  let total = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    try {
      for await (const entry of await opendir(next)) {
        const path = join(next, entry.name);
        if (entry.isDirectory()) waiting.push(path);
        const { blocks, nlink, dev, ino } = await lstat(path);
        const key = `${dev}:${ino}`;
        if (!entry.isDirectory() && nlink > 1) {
          if (seen.has(key)) continue;
          seen.add(key);
        }
        total += blocks * 512;
      }
    } catch (error) {
      // Changed while it is walked, or never made.
      if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
    }
  }
  return total;
}
