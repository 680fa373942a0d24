/** Content that does not stand in a layer's archive as it is needed gets a place behind the archive. */
import * as fs from "node:fs";
import { fsName, GantryError } from "../../lib/index.ts";
import type { ForeignFile, ScatteredFile } from "./content-map.ts";
import { blockBytes, dataOffset, maxBlocks } from "./format.ts";
import type { LayerTree } from "./layer-tree.ts";
import { roundUp } from "./plan-layout.ts";

const chunkBytes = 1 << 20;

/**
 * @param from where the first place is in the file
 * @returns where the last one ends
 */
export function gatherContent(fd: number, { table, content }: LayerTree, from: number): number {
  let place = from;
  const next = ({ inode, size }: ScatteredFile | ForeignFile): number => {
    const at = place;
    place = roundUp(place + size, blockBytes);
    checkEnd(place);
    table.setContent(inode, at - dataOffset, size);
    return at;
  };
  for (const file of content.scattered) gatherPieces(fd, file, next(file));
  for (const file of content.foreign) bringIn(fd, file, next(file));
  return place;
}

/** @throws {GantryError} "unsupported" */
export function checkEnd(bytes: number): void {
  if (bytes > maxBlocks * blockBytes)
    throw new GantryError("unsupported", `the layer is larger than ${maxBlocks * blockBytes} bytes`);
}

/** What no piece of a sparse file fills is a hole here as well. */
function gatherPieces(fd: number, { pieces }: ScatteredFile, place: number): void {
  for (const { offset, position, length } of pieces)
    copy({ fd, position: dataOffset + position }, { fd, position: place + offset }, length);
}

function bringIn(fd: number, { path, size }: ForeignFile, place: number): void {
  const source = fs.openSync(fsName(path), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  try {
    copy({ fd: source, position: 0 }, { fd, position: place }, size);
  } finally {
    fs.closeSync(source);
  }
}

interface FilePlace {
  readonly fd: number;
  readonly position: number;
}

function copy(from: FilePlace, to: FilePlace, length: number): void {
  const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, length));
  for (let done = 0; done < length;) {
    const want = Math.min(buffer.length, length - done);
    const count = fs.readSync(from.fd, buffer, 0, want, from.position + done);
    if (count === 0) throw new GantryError("internal", "a file ended while it was copied into a layer");
    writeAt(to.fd, buffer.subarray(0, count), to.position + done);
    done += count;
  }
}

export function writeAt(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at, bytes.length - at, position + at);
}
