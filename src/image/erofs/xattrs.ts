/** Extended attributes: which of an archive's a file gets, as setxattr(2) would have it, and their bytes behind an inode. */
import { GantryError } from "../../lib/index.ts";
import { applyAcl } from "./acl.ts";
import { modeTypes, typeMask } from "./format.ts";
import type { InodeRow, NodeTable, Xattrs } from "./node-table.ts";

/** Prefixes that the format has a number for. The names of access control lists are prefixes without a rest. */
const prefixes = [
  ["user.", 1],
  ["system.posix_acl_access", 2],
  ["system.posix_acl_default", 3],
  ["trusted.", 4],
  ["security.", 6],
] as const;

const headerBytes = 12;
const maxNameBytes = 255;
const maxValueBytes = 0xffff;
/** What the count in an inode can tell. */
const maxBytes = headerBytes + 4 * 0xfffe;

/**
 * Gives an inode an attribute of an archive; one that this kind of file, or a file system at all, cannot have is left out.
 * @throws {GantryError} "corrupt"
 */
export function setArchivedXattr(table: NodeTable, inode: InodeRow, name: string, value: Uint8Array): void {
  const index = indexOf(name);
  const type = table.mode(inode) & typeMask;
  // Overlay's own attributes redirect lookups: never taken from an archive.
  if (index === undefined || name.startsWith("trusted.overlay.")) return;
  if (index === 1 && type !== modeTypes.file && type !== modeTypes.dir) return;
  if (restOf(name) === "" && !isAcl(index)) throw refused(name, "has no name behind its prefix");
  if (Buffer.byteLength(name) > maxNameBytes) throw refused(name, `has a name of over ${maxNameBytes} bytes`);
  if (value.length > maxValueBytes) throw refused(name, `is longer than ${maxValueBytes} bytes`);
  if (isAcl(index)) return applyAcl(table, inode, name, value);
  table.setXattr(inode, name, value);
}

function refused(name: string, why: string): GantryError {
  return new GantryError("corrupt", `the extended attribute ${JSON.stringify(name.slice(0, 80))} ${why}`);
}

function isAcl(index: number): boolean {
  return index === 2 || index === 3;
}

function indexOf(name: string): number | undefined {
  return prefixes.find(([prefix, index]) => (isAcl(index) ? name === prefix : name.startsWith(prefix)))?.[1];
}

function restOf(name: string): string {
  const index = indexOf(name);
  return index === undefined || isAcl(index) ? "" : name.slice(name.indexOf(".") + 1);
}

/** The bytes behind an inode: a header, then each attribute on a multiple of four. */
export function encodeXattrs(xattrs: Xattrs): Buffer {
  if (xattrs.size === 0) return Buffer.alloc(0);
  const parts: Buffer[] = [Buffer.alloc(headerBytes)];
  for (const name of [...xattrs.keys()].sort()) {
    const value = xattrs.get(name) ?? new Uint8Array();
    const rest = Buffer.from(restOf(name));
    const length = 4 + rest.length + value.length;
    const part = Buffer.alloc(Math.ceil(length / 4) * 4);
    part.writeUInt8(rest.length, 0);
    part.writeUInt8(indexOf(name) ?? 0, 1);
    part.writeUInt16LE(value.length, 2);
    part.set(rest, 4);
    part.set(value, 4 + rest.length);
    parts.push(part);
  }
  const bytes = Buffer.concat(parts);
  if (bytes.length > maxBytes)
    throw new GantryError(
      "corrupt",
      `a file in the archive has over ${maxBytes} bytes of extended attributes`,
    );
  return bytes;
}
