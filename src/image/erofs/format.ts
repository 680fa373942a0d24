/**
 * EROFS on disk: a flat catalogue of what stands where (Documentation/filesystems/erofs.rst and the header of the format).
 * All numbers are little-endian. Only what a plain, uncompressed, read-only tree needs is used: no incompatible feature is
 * set, so that every kernel that knows blocks of 512 bytes (6.4) reads it, and mounts it from a file since 6.12.
 */

/** Blocks of tar's size: a file's content is used where it stands in the archive. */
export const blockBits = 9;
export const blockBytes = 1 << blockBits;
/** Block addresses have 32 bits. */
export const maxBlocks = 2 ** 32 - 1;
/** The superblock stands behind the place of a boot sector; what follows begins at the first whole page. */
export const superOffset = 1024;
export const dataOffset = 4096;
/** What statfs tells of a mounted EROFS. */
export const erofsMagic = 0xe0f5e1e2;
export const slotBits = 5;
/** An extended inode: two slots. */
export const inodeBytes = 64;
export const direntBytes = 12;
export const maxNameBytes = 255;

/** Type bits of a mode. */
export const modeTypes = {
  file: 0o100000,
  dir: 0o040000,
  symlink: 0o120000,
  char: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
} as const;
export const typeMask = 0o170000;

/** The type in a directory entry, by the type bits of the mode shifted to a small number. */
const direntTypes: Readonly<Record<number, number>> = {
  [modeTypes.file]: 1,
  [modeTypes.dir]: 2,
  [modeTypes.char]: 3,
  [modeTypes.block]: 4,
  [modeTypes.fifo]: 5,
  [modeTypes.symlink]: 7,
};

export function direntType(mode: number): number {
  return direntTypes[mode & typeMask] ?? 0;
}

/** The kernel's 32-bit form of a device number. */
export function deviceNumber(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfffff00) << 12)) >>> 0;
}

/** Where an inode's content is: in blocks of its own, or right behind the inode (`inline`), within its block. */
const layouts = { plain: 0, inline: 2 } as const;

export interface InodeFields {
  readonly layout: keyof typeof layouts;
  /** With type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly links: number;
  /** A block address, or a device number. */
  readonly place: number;
  /** Bytes of its extended attributes, which follow it (encodeXattrs). */
  readonly xattrBytes: number;
  /** For programs that see only 32 bits. */
  readonly number: number;
}

/** Into inodeBytes of zeros. */
export function putInode(into: Buffer, inode: InodeFields): void {
  into.writeUInt16LE(1 | (layouts[inode.layout] << 1), 0);
  into.writeUInt16LE(xattrCount(inode.xattrBytes), 2);
  putLong(into, 8, inode.size);
  into.writeUInt32LE(inode.place, 16);
  into.writeUInt32LE(inode.number >>> 0, 20);
  into.writeUInt32LE(inode.links, 44);
  redressInode(into, inode);
}

/** Changes what chmod, chown and utimes change. */
export function redressInode(
  into: Buffer,
  {
    mode,
    uid,
    gid,
    seconds,
    nanoseconds,
  }: Pick<InodeFields, "mode" | "uid" | "gid" | "seconds" | "nanoseconds">,
): void {
  into.writeUInt16LE(mode, 4);
  into.writeUInt32LE(uid, 24);
  into.writeUInt32LE(gid, 28);
  putLong(into, 32, seconds);
  into.writeUInt32LE(nanoseconds, 40);
}

/** The header counts as one, then every four bytes. */
function xattrCount(bytes: number): number {
  return bytes === 0 ? 0 : 1 + (bytes - 12) / 4;
}

/** Whole numbers up to 2^53. */
function putLong(into: Buffer, at: number, value: number): void {
  into.writeUInt32LE(value % 2 ** 32, at);
  into.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

export function putDirent(
  into: Buffer,
  at: number,
  { node, nameAt, type }: { readonly node: number; readonly nameAt: number; readonly type: number },
): void {
  putLong(into, at, node);
  into.writeUInt16LE(nameAt, at + 8);
  into.writeUInt8(type, at + 10);
}

export interface SuperFields {
  /** Number of the root's inode: it lies within 2 MiB of the begin of the metadata. */
  readonly root: number;
  readonly inodes: number;
  readonly blocks: number;
  readonly metadataBlock: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
}

const magic = 0xe0f5e1e2;
const superBytes = 128;
const features = { checksum: 1, modificationTimes: 2 } as const;

/** The block at superOffset. */
export function superblock(fields: SuperFields): Buffer {
  const block = Buffer.alloc(blockBytes);
  block.writeUInt32LE(magic, 0);
  block.writeUInt32LE(features.checksum | features.modificationTimes, 8);
  block.writeUInt8(blockBits, 12);
  block.writeUInt16LE(fields.root, 14);
  putLong(block, 16, fields.inodes);
  block.writeUInt32LE(fields.blocks, 36);
  block.writeUInt32LE(fields.metadataBlock, 40);
  block.set(fields.uuid, 48);
  block.writeUInt32LE(crc32c(block), 4);
  return block;
}

/** @returns the number of blocks that a superblock tells of; undefined when it is none of ours, or damaged */
export function blocksOf(block: Buffer): number | undefined {
  if (block.length < superBytes || block.readUInt32LE(0) !== magic) return undefined;
  const sum = block.readUInt32LE(4);
  const unsigned = Buffer.from(block);
  unsigned.writeUInt32LE(0, 4);
  return crc32c(unsigned) === sum ? block.readUInt32LE(36) : undefined;
}

/** Castagnoli's, reflected; EROFS leaves out the final inversion. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  return crc >>> 0;
}
