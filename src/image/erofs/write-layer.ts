/**
 * A layer as one EROFS file, written while its archive streams by: the archive's own bytes, then the tree that tells which
 * of them are files. Nothing is copied but sparse files, and the archive can be read back to the byte.
 */
import * as fs from "node:fs";
import type { Sys } from "../../kernel/index.ts";
import { GantryError, isErrno, TarReader } from "../../lib/index.ts";
import { listInheritable, walk } from "../inherit.ts";
import { dataOffset } from "./format.ts";
import { LayerTree } from "./layer-tree.ts";
import { writeAt, writeTree } from "./write-tree.ts";
import { setArchivedXattr } from "./xattrs.ts";

export interface WriteLayerOptions {
  /** An empty file, open for reading and writing. */
  readonly fd: number;
  /** Fills the buffer with the next bytes of the archive; 0 at its end. */
  readonly read: (buffer: Buffer) => number;
  /** Most bytes of content. */
  readonly maxBytes: number;
  readonly missingTrailer: boolean;
  /** Where what lies below the layer is readable. */
  readonly below?: { readonly sys: Pick<Sys, "listXattrs" | "getXattr">; readonly root: string } | undefined;
}

export interface WrittenLayer {
  readonly entries: number;
  /** Bytes of the files' content. */
  readonly size: number;
  /** Of the file. */
  readonly fileBytes: number;
}

const chunkBytes = 1 << 20;

/** @throws {GantryError} "corrupt", "unsupported", "exhausted"; the file is of no use then */
export function writeLayer(options: WriteLayerOptions): WrittenLayer {
  const tree = new LayerTree(options.maxBytes);
  try {
    const bytes = copyArchive(options, tree);
    const { below } = options;
    if (below !== undefined) inheritAttributes(tree, below.sys, below.root);
    const fileBytes = writeTree(options.fd, tree, dataOffset + bytes);
    fs.fsyncSync(options.fd);
    return { entries: tree.entries, size: tree.bytes, fileBytes };
  } catch (error) {
    if (!isErrno(error, "ENOSPC", "EDQUOT")) throw error;
    throw new GantryError("exhausted", "no space left on device: write the layer", {
      cause: error,
      hint: "free disk space, for example with: gantry system prune",
    });
  }
}

/** @returns bytes of the archive */
function copyArchive({ fd, read, missingTrailer }: WriteLayerOptions, tree: LayerTree): number {
  const reader = new TarReader({ missingTrailer });
  const buffer = Buffer.allocUnsafeSlow(chunkBytes);
  let position = 0;
  for (let count = read(buffer); count > 0; count = read(buffer)) {
    const chunk = buffer.subarray(0, count);
    writeAt(fd, chunk, dataOffset + position);
    for (const event of reader.push(chunk)) {
      // The bytes of an event are a view of what was pushed: that tells where they stand.
      tree.apply(event, event.kind === "data" ? position + event.bytes.byteOffset - chunk.byteOffset : 0);
    }
    position += count;
  }
  reader.finish();
  return position;
}

/** Overlay shows the topmost layer's attributes: a directory that the archive does not describe has those of the one below. */
function inheritAttributes(
  { implied, table }: LayerTree,
  sys: Pick<Sys, "listXattrs" | "getXattr">,
  root: string,
): void {
  for (const { path, node } of implied) {
    const from = walk(root, path);
    if (from === undefined || table.isGone(node)) continue;
    const { uid, gid, mode, mtimeNs } = fs.lstatSync(from, { bigint: true });
    const inode = table.inode(node);
    table.dress(inode, { mode: Number(mode & 0xffffn), uid: Number(uid), gid: Number(gid), mtimeNs });
    for (const name of listInheritable(sys, from))
      setArchivedXattr(table, inode, name, sys.getXattr(from, name));
  }
}
