/** Decides where each inode, directory and long link of a tree stands in an EROFS. Plain numbers; nothing is written. */
import { Column } from "./columns.ts";
import { blockBytes, direntBytes, inodeBytes, modeTypes, slotBits, typeMask } from "./format.ts";
import type { InodeRow, NodeRow, NodeTable } from "./node-table.ts";
import { encodeXattrs } from "./xattrs.ts";

/** Stand for the directory itself and the one above among its sorted names. */
export const self = -1;
export const above = -2;
const selfName = Buffer.from(".");
const aboveName = Buffer.from("..");

export interface Layout {
  /** A name of each inode, in the order in which they are written: the root first, what is in one directory together. */
  readonly order: { readonly length: number; node(index: number): NodeRow };
  /** Of the inode table, in bytes from its begin. */
  inodeAt(inode: InodeRow): number;
  readonly inodesEnd: number;
  /** Of content in blocks of its own (directories, long links), in blocks from the begin of that area. */
  blockAt(inode: InodeRow): number;
  readonly contentBlocks: number;
  links(inode: InodeRow): number;
  /** Bytes of a directory. */
  directoryBytes(inode: InodeRow): number;
  /** The names in a directory, sorted by their bytes, with `self` and `above`. */
  names(directory: NodeRow): Int32Array;
}

/** The number by which an inode at this place of the inode table is known. */
export function inodeNumber(at: number): number {
  return at / 2 ** slotBits;
}

export function isInline(target: number, xattrBytes: number): boolean {
  return inodeBytes + xattrBytes + target <= blockBytes;
}

export function planLayout(table: NodeTable): Layout {
  const children = childrenOf(table);
  const order = new Column("i32");
  const places = new Column("f64");
  const blocks = new Column("f64");
  const sizes = new Column("f64");
  const links = new Column("u32");
  let length = 0;
  // No inode has the number 0: readdir(3) takes it for a name that is gone.
  let inodesEnd = inodeBytes;
  let contentBlocks = 0;
  const append = (node: NodeRow): void => {
    order.set(length++, node);
    const inode = table.inode(node);
    const type = table.mode(inode) & typeMask;
    const xattrs = encodeXattrs(table.xattrs(inode)).length;
    const target = type === modeTypes.symlink ? table.size(inode) : 0;
    const whole = inodeBytes + xattrs + target;
    // The fixed part, and a target behind it, stay in one block.
    const least = type === modeTypes.symlink && isInline(target, xattrs) ? whole : inodeBytes;
    if ((inodesEnd % blockBytes) + least > blockBytes) inodesEnd = roundUp(inodesEnd, blockBytes);
    places.set(inode, inodesEnd);
    const tail = type === modeTypes.symlink && isInline(target, xattrs) ? target : 0;
    inodesEnd = roundUp(inodesEnd + inodeBytes + xattrs + tail, 2 ** slotBits);
    if (type === modeTypes.symlink && tail === 0) {
      blocks.set(inode, contentBlocks);
      contentBlocks += Math.ceil(target / blockBytes);
    }
  };
  append(table.root);
  links.set(table.inode(table.root), 2);
  for (let i = 0; i < length; i++) {
    const node = order.get(i);
    const inode = table.inode(node);
    if ((table.mode(inode) & typeMask) !== modeTypes.dir) continue;
    const names = children.sorted(node);
    const bytes = bytesOfDirectory(table, names);
    sizes.set(inode, bytes);
    blocks.set(inode, contentBlocks);
    contentBlocks += Math.ceil(bytes / blockBytes);
    for (const child of names) {
      if (child < 0) continue;
      const below = table.inode(child);
      if (links.get(below) === 0) append(child);
      const isDirectory = (table.mode(below) & typeMask) === modeTypes.dir;
      links.set(below, isDirectory ? 2 : links.get(below) + 1);
      if (isDirectory) links.set(inode, links.get(inode) + 1);
    }
  }
  return {
    order: { length, node: (index) => order.get(index) },
    inodeAt: (inode) => places.get(inode),
    inodesEnd,
    blockAt: (inode) => blocks.get(inode),
    contentBlocks,
    links: (inode) => links.get(inode),
    directoryBytes: (inode) => sizes.get(inode),
    names: (directory) => children.sorted(directory),
  };
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Living names by the directory they are in: counted, then put in their places. */
function childrenOf(table: NodeTable): { sorted(directory: NodeRow): Int32Array } {
  const starts = new Uint32Array(table.nodeCount + 1);
  for (let node = 1; node < table.nodeCount; node++) {
    const at = table.parent(node) + 1;
    if (!table.isGone(node)) starts[at] = (starts[at] ?? 0) + 1;
  }
  for (let i = 1; i < starts.length; i++) starts[i] = (starts[i] ?? 0) + (starts[i - 1] ?? 0);
  const filled = starts.slice();
  const nodes = new Int32Array(starts.at(-1) ?? 0);
  for (let node = 1; node < table.nodeCount; node++) {
    if (table.isGone(node)) continue;
    const parent = table.parent(node);
    const at = filled[parent] ?? 0;
    nodes[at] = node;
    filled[parent] = at + 1;
  }
  const isSorted = new Uint8Array(table.nodeCount);
  return {
    sorted(directory) {
      const own = nodes.subarray(starts[directory], starts[directory + 1]);
      if (isSorted[directory] === 0) own.sort((a, b) => table.compareNames(a, b));
      isSorted[directory] = 1;
      return withDots(table, own);
    },
  };
}

function withDots(table: NodeTable, sorted: Int32Array): Int32Array {
  const before = (dot: Buffer): number => sorted.findIndex((node) => table.name(node).compare(dot) > 0);
  const place = (at: number): number => (at < 0 ? sorted.length : at);
  const [first, second] = [place(before(selfName)), place(before(aboveName))];
  const all = new Int32Array(sorted.length + 2);
  all.set(sorted.subarray(0, first), 0);
  all[first] = self;
  all.set(sorted.subarray(first, second), first + 1);
  all[second + 1] = above;
  all.set(sorted.subarray(second), second + 2);
  return all;
}

export function nameIn(table: NodeTable, node: NodeRow): Buffer {
  return node === self ? selfName : node === above ? aboveName : table.name(node);
}

function lengthOfName(table: NodeTable, node: NodeRow): number {
  return node === self ? 1 : node === above ? 2 : table.nameLength(node);
}

/** How many of the names from `from` on fill a block, and the bytes that they take in it. */
export function nextBlock(
  table: NodeTable,
  names: Int32Array,
  from: number,
): { readonly end: number; readonly bytes: number } {
  let bytes = 0;
  let end = from;
  for (; end < names.length; end++) {
    const more = direntBytes + lengthOfName(table, names[end] ?? self);
    if (bytes + more > blockBytes) break;
    bytes += more;
  }
  return { end, bytes };
}

/** Whole blocks, and the last one to the end of its names. */
function bytesOfDirectory(table: NodeTable, names: Int32Array): number {
  for (let at = 0, blocks = 0; ; blocks++) {
    const { end, bytes } = nextBlock(table, names, at);
    if (end === names.length) return blocks * blockBytes + bytes;
    at = end;
  }
}
