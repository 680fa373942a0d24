/** How much disk a directory takes, for `ps -s` and `system df`. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { isErrno } from "../../lib/index.ts";

/** Deeper than this nothing is counted: a tree made by a container may be as deep as it likes. */
const maxDepth = 256;

/** Bytes of the files below `dir`, a file with several names counted once; 0 when there is no such directory. */
export async function directoryBytes(dir: string): Promise<number> {
  return sumOf(dir, new Set(), 0);
}

async function sumOf(dir: string, seen: Set<string>, depth: number): Promise<number> {
  if (depth > maxDepth) return 0;
  let total = 0;
  for (const name of await entriesOf(dir)) {
    const path = join(dir, name);
    const stat = await statOf(path);
    if (stat === undefined) continue;
    if (stat.isDirectory()) {
      total += await sumOf(path, seen, depth + 1);
      continue;
    }
    if (stat.nlink > 1) {
      const key = `${stat.dev}:${stat.ino}`;
      if (seen.has(key)) continue;
      seen.add(key);
    }
    if (stat.isFile() || stat.isSymbolicLink()) total += stat.size;
  }
  return total;
}

async function entriesOf(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    // ENOENT, ENOTDIR: removed or replaced while we counted. ENAMETOOLONG: a path no program reaches either.
    if (isErrno(error, "ENOENT", "ENOTDIR", "ENAMETOOLONG")) return [];
    throw error;
  }
}

async function statOf(path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    // ENOENT: removed while we counted.
    if (isErrno(error, "ENOENT", "ENAMETOOLONG")) return undefined;
    throw error;
  }
}
