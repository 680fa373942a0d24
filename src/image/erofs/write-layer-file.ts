/**
 * A layer as one EROFS file, written while its archive streams by: the archive's own bytes, then the tree that tells which
 * of them are files. Nothing is copied but sparse files, and the archive can be read back to the byte.
 */
import * as fs from "node:fs";
import { GantryError, isErrno, TarReader } from "../../lib/index.ts";
import type { DirectoryAttributes, UnpackedLayer } from "../child-request.ts";
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
}

const chunkBytes = 1 << 20;

/** The caller syncs the file. @throws {GantryError} "corrupt", "unsupported", "exhausted"; the file is of no use then */
export function writeLayerFile({ fd, read, maxBytes, missingTrailer }: WriteLayerOptions): UnpackedLayer {
  const tree = new LayerTree(maxBytes);
  return withSpace(() => {
    const bytes = readArchive(tree, { read, missingTrailer }, (chunk, at) =>
      writeAt(fd, chunk, dataOffset + at),
    );
    return summary(tree, writeTree(fd, tree, dataOffset + bytes));
  });
}

/** Writes the tree anew behind the archive that the file holds, with attributes for directories that it does not describe. */
export function writeTreeAgain({
  fd,
  tarSize,
  maxBytes,
  directories,
}: {
  readonly fd: number;
  readonly tarSize: number;
  readonly maxBytes: number;
  readonly directories: readonly DirectoryAttributes[];
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
    dressImplied(tree, directories);
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

function dressImplied({ implied, table }: LayerTree, directories: readonly DirectoryAttributes[]): void {
  const byPath = new Map(directories.map((directory) => [directory.path, directory]));
  for (const { path, node } of implied) {
    const directory = byPath.get(path);
    if (directory === undefined) continue;
    const inode = table.inode(node);
    table.dress(inode, { ...directory, mtimeNs: BigInt(directory.mtimeNs) });
    for (const [name, value] of directory.xattrs)
      setArchivedXattr(table, inode, name, Buffer.from(value, "base64"));
  }
}
