/** How much the image room may write. */
import type { Sys } from "../kernel/index.ts";

const maxReserveBytes = 256n << 20n;

/** Free bytes of the file system at `path` less a reserve for logs and records: 2 % of it, 256 MiB at most. */
export function spendableBytes(sys: Pick<Sys, "statfs">, path: string): number {
  const { totalBytes, freeBytes } = sys.statfs(path);
  const share = totalBytes / 50n;
  const reserve = share < maxReserveBytes ? share : maxReserveBytes;
  return freeBytes > reserve ? Number(freeBytes - reserve) : 0;
}
