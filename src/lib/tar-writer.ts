/** Writing tar: the header blocks of an entry, as bytes; the caller streams the content and pads it. Deterministic. */
import { blockSize, type TarEntryInput, tarEntry, type TarEntry, type TarType } from "./tar-entry.ts";
import { formatHeader, octalMax } from "./tar-header.ts";
import { encodeName } from "./tar-name.ts";
import { escapeXattr, formatPax, formatPaxTime } from "./tar-pax.ts";

const typeflags: Readonly<Record<TarType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  dir: "5",
  fifo: "6",
};

const ascii = /^[\x20-\x7e]*$/;

/** The two zero blocks that end an archive. */
export const tarTrailer: Uint8Array = new Uint8Array(2 * blockSize);

const zeros = new Uint8Array(blockSize);

/** The zeros that follow `size` bytes of content. */
export function tarPadding(size: number): Uint8Array {
  return zeros.subarray(0, (blockSize - (size % blockSize)) % blockSize);
}

/** The values that the ustar header cannot hold, as PAX records in a fixed order. */
function paxRecords(entry: TarEntry): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  const add = (key: string, value: string): void => void records.set(key, encodeName(value));
  // Said only where it is so: else values are UTF-8 (POSIX pax, "hdrcharset").
  if (!entry.path.isWellFormed() || !entry.linkPath.isWellFormed()) add("hdrcharset", "BINARY");
  if (entry.path.length > 100 || !ascii.test(entry.path)) add("path", entry.path);
  if (entry.linkPath.length > 100 || !ascii.test(entry.linkPath)) add("linkpath", entry.linkPath);
  if (entry.size > octalMax(12)) add("size", String(entry.size));
  if (entry.devMajor > octalMax(8)) add("SCHILY.devmajor", String(entry.devMajor));
  if (entry.devMinor > octalMax(8)) add("SCHILY.devminor", String(entry.devMinor));
  if (entry.uid > octalMax(8)) add("uid", String(entry.uid));
  if (entry.gid > octalMax(8)) add("gid", String(entry.gid));
  const seconds = entry.mtimeNs / 1_000_000_000n;
  if (entry.mtimeNs < 0n || entry.mtimeNs % 1_000_000_000n !== 0n || seconds > BigInt(octalMax(12))) {
    add("mtime", formatPaxTime(entry.mtimeNs));
  }
  for (const name of [...entry.xattrs.keys()].sort()) {
    records.set(`SCHILY.xattr.${escapeXattr(name)}`, entry.xattrs.get(name) ?? zeros.subarray(0, 0));
  }
  return records;
}

/** What fits of a text in a 100 byte field; readers take the PAX record instead. */
function shortened(text: string): string {
  return ascii.test(text) ? text.slice(0, 100) : text.replace(/[^\x20-\x7e]/g, "_").slice(0, 100);
}

/** A number that fits its field, or 0 where a PAX record says the real one. */
function fitting(value: number, length: number): number {
  return value >= 0 && value <= octalMax(length) ? value : 0;
}

/** The header of one entry, extended headers included. A directory's path gets its final slash. */
export function tarHeader(input: TarEntryInput): Uint8Array {
  const given = tarEntry(input);
  const entry =
    given.type === "dir" && !given.path.endsWith("/") ? { ...given, path: `${given.path}/` } : given;
  const records = paxRecords(entry);
  const header = formatHeader({
    name: shortened(entry.path),
    mode: entry.mode & 0o7777,
    uid: fitting(entry.uid, 8),
    gid: fitting(entry.gid, 8),
    size: fitting(entry.size, 12),
    mtime: fitting(Number(entry.mtimeNs / 1_000_000_000n), 12),
    typeflag: typeflags[entry.type],
    linkName: shortened(entry.linkPath),
    devMajor: fitting(entry.devMajor, 8),
    devMinor: fitting(entry.devMinor, 8),
  });
  if (records.size === 0) return header;
  const pax = formatPax(records);
  const paxHeader = formatHeader({
    name: `PaxHeaders/${shortened(entry.path)}`.slice(0, 100).replace(/\/$/, ""),
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: pax.length,
    mtime: 0,
    typeflag: "x",
    linkName: "",
    devMajor: 0,
    devMinor: 0,
  });
  return Buffer.concat([paxHeader, pax, tarPadding(pax.length), header]);
}
