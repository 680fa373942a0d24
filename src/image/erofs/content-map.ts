/**
 * Where the content of regular files stands. A plain file's is in the archive itself, whole and at the begin of a block.
 * That of a sparse file is in pieces: it gets a place behind the archive, to which the pieces are copied.
 */
import { GantryError } from "../../lib/index.ts";
import { blockBytes } from "./format.ts";
import type { InodeRow, NodeTable } from "./node-table.ts";

interface Piece {
  /** In the file. */
  readonly offset: number;
  /** In the archive. */
  readonly position: number;
  readonly length: number;
}

export interface ScatteredFile {
  readonly inode: InodeRow;
  readonly size: number;
  readonly pieces: readonly Piece[];
}

/** A file of a layer below that this one gets as well. */
export interface ForeignFile {
  readonly inode: InodeRow;
  readonly size: number;
  readonly path: string;
}

/** Of all sparse files of one archive, which are held in memory. */
const maxPieces = 5_000_000;

export class ContentMap {
  readonly scattered: ScatteredFile[] = [];
  readonly foreign: ForeignFile[] = [];
  readonly #table: NodeTable;
  #pieces: Piece[] = [];
  #count = 0;

  constructor(table: NodeTable) {
    this.#table = table;
  }

  /** A run of bytes of the file at hand. */
  add(offset: number, position: number, length: number): void {
    const last = this.#pieces.at(-1);
    const follows =
      last !== undefined && last.offset + last.length === offset && last.position + last.length === position;
    if (follows) this.#pieces[this.#pieces.length - 1] = { ...last, length: last.length + length };
    else this.#pieces.push({ offset, position, length });
  }

  /** The file at hand is `inode`. */
  finish(inode: InodeRow, size: number): void {
    const pieces = this.#pieces;
    this.#pieces = [];
    const [first] = pieces;
    if (first === undefined && size === 0) return this.#table.setContent(inode, 0, 0);
    const isWhole = pieces.length === 1 && first?.offset === 0 && first.length === size;
    if (isWhole && first.position % blockBytes === 0)
      return this.#table.setContent(inode, first.position, size);
    this.#count += 1 + pieces.length;
    if (this.#count > maxPieces)
      throw new GantryError("corrupt", `the sparse files in the archive have more than ${maxPieces} pieces`);
    this.scattered.push({ inode, size, pieces });
  }
}
