/** Writes the tree of a layer behind its archive: inodes, then directories, all in one pass, and at last the superblock. */
import { createHash, type Hash } from "node:crypto";
import {
  blockBytes,
  dataOffset,
  direntBytes,
  direntType,
  inodeBytes,
  modeTypes,
  putDirent,
  putInode,
  superblock,
  superOffset,
  typeMask,
} from "./format.ts";
import { checkEnd, gatherContent, writeAt } from "./gather-content.ts";
import type { LayerTree } from "./layer-tree.ts";
import type { InodeRow, NodeRow, NodeTable } from "./node-table.ts";
import {
  above,
  inodeNumber,
  isInline,
  type Layout,
  nameIn,
  nextBlock,
  planLayout,
  roundUp,
  self,
} from "./plan-layout.ts";
import { encodeXattrs } from "./xattrs.ts";

const chunkBytes = 1 << 20;
/** Metadata is read by pages. */
const metadataAlignment = 4096;

/**
 * @param fd of the layer's file, open for reading and writing, which holds the archive from dataOffset on
 * @param end where the archive ends in the file
 * @returns where an inode is in the file; undefined for one that no name is left of
 */
export function writeTree(fd: number, tree: LayerTree, end: number): (inode: InodeRow) => number | undefined {
  const gathered = gatherContent(fd, tree, roundUp(end, blockBytes));
  const start = roundUp(gathered, metadataAlignment);
  const layout = planLayout(tree.table);
  const contentAt = roundUp(start + layout.inodesEnd, blockBytes);
  const blocks = contentAt / blockBytes + layout.contentBlocks;
  checkEnd(blocks * blockBytes);
  const out = new Sequential(fd, start);
  writeInodes(out, tree.table, { layout, contentBlock: contentAt / blockBytes });
  out.fill(contentAt);
  writeContent(out, tree.table, layout);
  out.fill(blocks * blockBytes);
  out.flush();
  const block = superblock({
    root: inodeNumber(layout.inodeAt(tree.table.inode(tree.table.root))),
    inodes: layout.order.length,
    blocks,
    metadataBlock: start / blockBytes,
    uuid: out.digest(),
  });
  writeAt(fd, block, superOffset);
  return (inode) => (layout.links(inode) === 0 ? undefined : start + layout.inodeAt(inode));
}

function writeInodes(
  out: Sequential,
  table: NodeTable,
  { layout, contentBlock }: { readonly layout: Layout; readonly contentBlock: number },
): void {
  const begin = out.position;
  for (let i = 0; i < layout.order.length; i++) {
    const inode = table.inode(layout.order.node(i));
    const stat = table.stat(inode);
    const xattrs = encodeXattrs(table.xattrs(inode));
    const type = stat.mode & typeMask;
    const inline = type === modeTypes.symlink && isInline(table.size(inode), xattrs.length);
    out.fill(begin + layout.inodeAt(inode));
    putInode(out.take(inodeBytes), {
      ...stat,
      layout: inline ? "inline" : "plain",
      size: type === modeTypes.dir ? layout.directoryBytes(inode) : table.size(inode),
      links: layout.links(inode),
      place: placeOf(table, inode, type, inline ? 0 : contentBlock + layout.blockAt(inode)),
      xattrBytes: xattrs.length,
      number: i + 1,
    });
    out.write(xattrs);
    if (inline) out.write(table.target(inode));
  }
}

function placeOf(table: NodeTable, inode: InodeRow, type: number, contentBlock: number): number {
  switch (type) {
    case modeTypes.file:
      return table.size(inode) === 0 ? 0 : (dataOffset + table.place(inode)) / blockBytes;
    case modeTypes.char:
    case modeTypes.block:
      return table.place(inode);
    case modeTypes.fifo:
      return 0;
    default:
      return contentBlock;
  }
}

/** Directories and long links, in the order in which their blocks were given out. */
function writeContent(out: Sequential, table: NodeTable, layout: Layout): void {
  const begin = out.position;
  const nodes: NodeRow[] = [];
  for (let i = 0; i < layout.order.length; i++) {
    const node = layout.order.node(i);
    const inode = table.inode(node);
    const type = table.mode(inode) & typeMask;
    if (type === modeTypes.dir) nodes.push(node);
    if (type === modeTypes.symlink && !isInline(table.size(inode), encodeXattrs(table.xattrs(inode)).length))
      nodes.push(node);
  }
  nodes.sort((a, b) => layout.blockAt(table.inode(a)) - layout.blockAt(table.inode(b)));
  for (const node of nodes) {
    const inode = table.inode(node);
    out.fill(begin + layout.blockAt(inode) * blockBytes);
    if ((table.mode(inode) & typeMask) === modeTypes.dir) writeDirectory(out, table, { layout, node });
    else out.write(table.target(inode));
  }
}

function writeDirectory(
  out: Sequential,
  table: NodeTable,
  { layout, node }: { readonly layout: Layout; readonly node: NodeRow },
): void {
  const names = layout.names(node);
  for (let from = 0; from < names.length;) {
    const { end, bytes } = nextBlock(table, names, from);
    out.fill(roundUp(out.position, blockBytes));
    const block = out.take(bytes);
    let nameAt = (end - from) * direntBytes;
    for (let i = from; i < end; i++) {
      const entry = names[i] ?? self;
      const target = entry === self ? node : entry === above ? table.parent(node) : entry;
      const inode = table.inode(target);
      putDirent(block, (i - from) * direntBytes, {
        node: inodeNumber(layout.inodeAt(inode)),
        nameAt,
        type: direntType(table.mode(inode)),
      });
      const name = nameIn(table, entry);
      block.set(name, nameAt);
      nameAt += name.length;
    }
    from = end;
  }
}

/** Buffered writing at a position that only grows; digests what it writes. */
class Sequential {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(chunkBytes);
  readonly #hash: Hash = createHash("sha256");
  #begin: number;
  #filled = 0;

  constructor(fd: number, position: number) {
    this.#fd = fd;
    this.#begin = position;
  }

  get position(): number {
    return this.#begin + this.#filled;
  }

  /** Zeros to be filled in before the next call: at most a block. */
  take(length: number): Buffer {
    if (this.#filled + length > this.#buffer.length) this.flush();
    this.#filled += length;
    return this.#buffer.subarray(this.#filled - length, this.#filled).fill(0);
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += blockBytes) {
      const part = bytes.subarray(at, at + blockBytes);
      this.take(part.length).set(part);
    }
  }

  /** Zeros up to a position. */
  fill(position: number): void {
    while (this.position < position) this.take(Math.min(blockBytes, position - this.position));
  }

  flush(): void {
    const bytes = this.#buffer.subarray(0, this.#filled);
    this.#hash.update(bytes);
    writeAt(this.#fd, bytes, this.#begin);
    this.#begin += this.#filled;
    this.#filled = 0;
  }

  /** 16 bytes. */
  digest(): Uint8Array {
    return this.#hash.digest().subarray(0, 16);
  }
}
