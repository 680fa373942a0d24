/** Sparse files in tar: GNU's old headers (type S) and its three PAX forms (0.0, 0.1, 1.0). A map says where data lies. */
import { GantryError } from "./errors.ts";
import type { PaxList } from "./tar-pax.ts";
import { parsePaxNumber } from "./tar-pax.ts";
import { parseNumber } from "./tar-header.ts";

export interface SparseSegment {
  readonly offset: number;
  readonly length: number;
}

/** More segments than this are refused: a map is kept in memory. */
const maxSegments = 100_000;

/** @throws {GantryError} "corrupt" when segments overlap, leave the file, or do not add up to the stored bytes */
export function checkSparse(map: readonly SparseSegment[], realSize: number, storedSize: number): void {
  let end = 0;
  let total = 0;
  for (const { offset, length } of map) {
    if (offset < end || offset + length > realSize)
      throw new GantryError("corrupt", "invalid sparse map in the archive");
    end = offset + length;
    total += length;
  }
  if (total !== storedSize)
    throw new GantryError("corrupt", "the sparse map and the stored size of an entry disagree");
}

function tooMany(): GantryError {
  return new GantryError("corrupt", `a sparse file in the archive has more than ${maxSegments} segments`);
}

/** Reads `count` offset and length pairs of 12 bytes; a pair that starts with NUL ends the list. */
export function parseOldSparse(block: Uint8Array, at: number, count: number, into: SparseSegment[]): void {
  for (let i = 0; i < count; i++) {
    const start = at + i * 24;
    if (block[start] === 0) return;
    into.push({ offset: parseNumber(block, start, 12), length: parseNumber(block, start + 12, 12) });
  }
  if (into.length > maxSegments) throw tooMany();
}

function pairs(numbers: readonly number[]): SparseSegment[] {
  if (numbers.length % 2 !== 0) throw new GantryError("corrupt", "odd sparse map in the archive");
  if (numbers.length / 2 > maxSegments) throw tooMany();
  const map: SparseSegment[] = [];
  for (let i = 0; i < numbers.length; i += 2)
    map.push({ offset: numbers[i] ?? 0, length: numbers[i + 1] ?? 0 });
  return map;
}

/** The map of PAX forms 0.0 (repeated records) and 0.1 (one record); undefined for an entry that has neither. */
export function paxSparseMap(list: PaxList): SparseSegment[] | undefined {
  const numbers: number[] = [];
  let found = false;
  for (const [key, value] of list) {
    if (key === "GNU.sparse.map") {
      found = true;
      const text = Buffer.from(value).toString("latin1");
      if (text !== "") numbers.push(...text.split(",").map((part) => parsePaxNumber(Buffer.from(part))));
    } else if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") {
      found = true;
      numbers.push(parsePaxNumber(value));
    } else if (key === "GNU.sparse.numblocks") found = true;
  }
  return found ? pairs(numbers) : undefined;
}

/** Collects the map of PAX form 1.0, decimal lines that stand before the data and end with a whole block. */
export class SparseLines {
  readonly #numbers: number[] = [];
  #digits = "";

  /** Takes a block; true when the map is complete. */
  add(block: Uint8Array): boolean {
    for (const byte of block) {
      if (this.#complete()) return true;
      if (byte === 0x0a) {
        this.#numbers.push(parsePaxNumber(Buffer.from(this.#digits)));
        this.#digits = "";
        if ((this.#numbers[0] ?? 0) > maxSegments) throw tooMany();
      } else {
        this.#digits += String.fromCharCode(byte);
        if (this.#digits.length > 20) throw new GantryError("corrupt", "malformed sparse map in the archive");
      }
    }
    return this.#complete();
  }

  #complete(): boolean {
    return this.#numbers.length > 0 && this.#numbers.length === 1 + 2 * (this.#numbers[0] ?? 0);
  }

  get map(): SparseSegment[] {
    return pairs(this.#numbers.slice(1));
  }
}
