/**
 * A layer as one EROFS file, written while its archive streams by: the archive's own bytes, then the tree that tells which
 * of them are files. Nothing is copied but sparse files, and the archive can be read back to the byte.
 */
import * as fs from "node:fs";
import { GantryError, isErrno, TarReader } from "../../lib/index.ts";
import type { UnpackedLayer } from "../child-request.ts";
import { linkToNothing } from "../tree-refusals.ts";
import { dataOffset } from "./format.ts";
import { inherited } from "./inherited.ts";
import type { LayersBelow } from "./late-links.ts";
import { LayerTree } from "./layer-tree.ts";
import { writeAt } from "./gather-content.ts";
import { writeTree } from "./write-tree.ts";
import { setArchivedXattr } from "./xattrs.ts";

export interface WriteLayerOptions {
  /** An empty file, open for reading and writing. */
  readonly fd: number;
  /** Fills the buffer with the next bytes of the archive; 0 at its end. */
  readonly read: (buffer: Buffer) => number;
  /** Most bytes of content. */
  readonly maxBytes: number;
  readonly missingTrailer: boolean;
}

const chunkBytes = 1 << 20;

/** The caller syncs the file. @throws {GantryError} "corrupt", "unsupported", "exhausted"; the file is of no use then */
export function writeLayerFile({ fd, read, maxBytes, missingTrailer }: WriteLayerOptions): UnpackedLayer {
  const tree = new LayerTree(maxBytes);
  return withSpace(() => {
    const bytes = readArchive(tree, { read, missingTrailer }, (chunk, at) =>
      writeAt(fd, chunk, dataOffset + at),
    );
    const linkBelow = tree.lateLinks.resolve(undefined);
    return { ...summary(tree, writeTree(fd, tree, dataOffset + bytes)), linkBelow };
  });
}

/** Writes the tree anew behind the archive that the file holds, with what the layers below give to it. */
export function writeTreeAgain({
  fd,
  tarSize,
  maxBytes,
  below,
}: {
  readonly fd: number;
  readonly tarSize: number;
  readonly maxBytes: number;
  readonly below: LayersBelow;
}): UnpackedLayer {
  const tree = new LayerTree(maxBytes);
  let at = 0;
  const read = (buffer: Buffer): number => {
    const count = fs.readSync(fd, buffer, 0, Math.min(buffer.length, tarSize - at), dataOffset + at);
    at += count;
    return count;
  };
  return withSpace(() => {
    readArchive(tree, { read, missingTrailer: true }, () => undefined);
    const missing = tree.lateLinks.resolve(below);
    if (missing !== undefined) throw linkToNothing(missing);
    dressImplied(tree, below);
    fs.ftruncateSync(fd, dataOffset + tarSize);
    return summary(tree, writeTree(fd, tree, dataOffset + tarSize));
  });
}

function summary(tree: LayerTree, inodeAt: ReturnType<typeof writeTree>): UnpackedLayer {
  const living = tree.implied.filter(({ node }) => inodeAt(tree.table.inode(node)) !== undefined);
  return {
    entries: tree.entries,
    size: tree.bytes,
    implied: living.map(({ path }) => path),
    impliedAt: living.map(({ node }) => inodeAt(tree.table.inode(node)) ?? 0),
  };
}

function withSpace<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isErrno(error, "ENOSPC", "EDQUOT")) throw error;
    throw new GantryError("exhausted", "no space left on device: write the layer", {
      cause: error,
      hint: "free disk space, for example with: gantry system prune",
    });
  }
}

/** @returns bytes of the archive */
function readArchive(
  tree: LayerTree,
  { read, missingTrailer }: Pick<WriteLayerOptions, "read" | "missingTrailer">,
  keep: (chunk: Buffer, position: number) => void,
): number {
  const reader = new TarReader({ missingTrailer });
  const buffer = Buffer.allocUnsafeSlow(chunkBytes);
  let position = 0;
  for (let count = read(buffer); count > 0; count = read(buffer)) {
    const chunk = buffer.subarray(0, count);
    keep(chunk, position);
    for (const event of reader.push(chunk)) {
      // The bytes of an event are a view of what was pushed: that tells where they stand.
      tree.apply(event, event.kind === "data" ? position + event.bytes.byteOffset - chunk.byteOffset : 0);
    }
    position += count;
  }
  reader.finish();
  return position;
}

function dressImplied({ implied, table }: LayerTree, { sys, root }: LayersBelow): void {
  const nodes = new Map(implied.map(({ path, node }) => [path, node]));
  for (const { path, xattrs, ...attributes } of inherited(sys, [...nodes.keys()], [root])) {
    const inode = table.inode(nodes.get(path) ?? table.root);
    table.dress(inode, attributes);
    for (const [name, value] of xattrs) setArchivedXattr(table, inode, name, value);
  }
}
