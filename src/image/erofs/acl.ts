/** POSIX access control lists as they come in an archive: a list and a mode tell of the same rights, and must agree. */
import { GantryError } from "../../lib/index.ts";
import { modeTypes, typeMask } from "./format.ts";
import type { InodeRow, NodeTable } from "./node-table.ts";

const version = 2;
const tags = { owner: 0x01, group: 0x04, mask: 0x10, other: 0x20 } as const;

/** As the kernel when such an attribute is set. @throws {GantryError} "corrupt" */
export function applyAcl(table: NodeTable, inode: InodeRow, name: string, value: Uint8Array): void {
  const type = table.mode(inode) & typeMask;
  const isDefault = name.endsWith("default");
  if (type === modeTypes.symlink || (isDefault && type !== modeTypes.dir)) return;
  const bytes = Buffer.from(value);
  if (bytes.length < 4 || (bytes.length - 4) % 8 !== 0 || bytes.readUInt32LE(0) !== version)
    throw new GantryError("corrupt", `malformed access control list ${JSON.stringify(name)}`);
  if (bytes.length === 4) return;
  const rights = new Map<number, number>();
  let isPlain = true;
  for (let at = 4; at < bytes.length; at += 8) {
    const tag = bytes.readUInt16LE(at);
    if (tag !== tags.owner && tag !== tags.group && tag !== tags.other) isPlain = false;
    rights.set(tag, bytes.readUInt16LE(at + 2) & 7);
  }
  if (!isDefault) adjustMode(table, inode, rights);
  // A list that says no more than the mode is not kept.
  if (isDefault || !isPlain) table.setXattr(inode, name, value);
}

function adjustMode(table: NodeTable, inode: InodeRow, rights: ReadonlyMap<number, number>): void {
  const { mode, uid, gid, seconds, nanoseconds } = table.stat(inode);
  const group = rights.get(tags.mask) ?? rights.get(tags.group) ?? 0;
  const bits = ((rights.get(tags.owner) ?? 0) << 6) | (group << 3) | (rights.get(tags.other) ?? 0);
  const mtimeNs = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  table.dress(inode, { mode: (mode & ~0o777) | bits, uid, gid, mtimeNs });
}
