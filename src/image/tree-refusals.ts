/** What is refused of an archive of files, in the same words wherever it is written to. */
import { GantryError, type TarEntry } from "../lib/index.ts";

export function rootIsNoDirectory(): GantryError {
  return new GantryError("corrupt", "the archive's root is not a directory");
}

export function linkToNothing(entry: Pick<TarEntry, "path" | "linkPath">, cause?: unknown): GantryError {
  return new GantryError(
    "corrupt",
    `hard link ${JSON.stringify(entry.path)} to ${JSON.stringify(entry.linkPath)}, which is not in the archive`,
    cause === undefined ? {} : { cause },
  );
}

export function noSpaceFor(entry: Pick<TarEntry, "path" | "size">, cause?: unknown): GantryError {
  return new GantryError(
    "exhausted",
    `no space left on device: unpack ${JSON.stringify(entry.path)} (${entry.size} bytes)`,
    {
      hint: "free disk space, for example with: gantry system prune",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

const maxTimeNs = 2n ** 33n * 1_000_000_000n;

/** Times that every file system can hold. */
export function boundedTime(mtimeNs: bigint): bigint {
  return mtimeNs < 0n ? 0n : mtimeNs > maxTimeNs ? maxTimeNs : mtimeNs;
}

/** As many links in a row as the kernel follows. */
export const maxHops = 40;
