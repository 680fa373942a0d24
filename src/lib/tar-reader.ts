/**
 * Reading tar as a stream: bytes are pushed in, events come out, nothing is applied and nothing but headers is held in
 * memory. Understands ustar, PAX, GNU long names, all sparse forms and base-256 numbers. One codec serves the engine,
 * which awaits between events, and the confined children, which work with blocking calls:
 *
 *     for await (const chunk of stream) for (const event of reader.push(chunk)) await handle(event);
 *     reader.finish();
 */
import { GantryError } from "./errors.ts";
import { blockSize, type TarEntry, type TarEvent, type TarType } from "./tar-entry.ts";
import { isZeroBlock, parseHeader, parseNumber, type RawHeader } from "./tar-header.ts";
import { decodeName, nameBytes } from "./tar-name.ts";
import { type PaxList, parsePax, parsePaxNumber, parsePaxTime, paxMap, xattrsOf } from "./tar-pax.ts";
import { checkSparse, parseOldSparse, paxSparseMap, SparseLines, type SparseSegment } from "./tar-sparse.ts";

export interface TarLimits {
  /** Largest extended header or long name, in bytes. */
  readonly maxHeaderBytes: number;
  /** Longest path or link target, in bytes. */
  readonly maxPathBytes: number;
  readonly maxEntries: number;
  /** Most bytes that may follow the end mark. */
  readonly maxTrailingBytes: number;
  /**
   * Accept an archive that ends without the end mark, behind an entry or in its padding: a digest vouches for its length,
   * or it comes from docker's client, which closes the stream too early when it puts in a Dockerfile.
   */
  readonly missingTrailer: boolean;
}

export const defaultTarLimits: TarLimits = {
  maxHeaderBytes: 1 << 20,
  maxPathBytes: 4096,
  maxEntries: 5_000_000,
  maxTrailingBytes: 16 << 20,
  missingTrailer: false,
};

/** Asks for more input; never leaves the reader. */
const needInput = Symbol("needInput");
type Step<T> = Generator<TarEvent | typeof needInput, T, void>;

const types: Readonly<Record<string, TarType>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  S: "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "dir",
  D: "dir",
  "6": "fifo",
};

const maxId = 0xffff_fffe;
const maxDevice = 0xffff_ffff;
const none = new Uint8Array(0);

/** What extended headers said about the next entry. */
interface Extended {
  longName: string | undefined;
  longLink: string | undefined;
  pax: PaxList;
}

export class TarReader {
  readonly #limits: TarLimits;
  readonly #steps: Step<void>;
  #chunk: Uint8Array = none;
  #at = 0;
  #ended = false;
  #entries = 0;
  #global: PaxList = [];

  constructor(limits: Partial<TarLimits> = {}) {
    this.#limits = { ...defaultTarLimits, ...limits };
    this.#steps = this.#parse();
  }

  /**
   * Takes the next bytes. Every event must be consumed before the next push.
   * @throws {GantryError} "corrupt" for a bad checksum, number, header or map; "unsupported" for an unknown type
   */
  *push(chunk: Uint8Array): Generator<TarEvent, void, void> {
    this.#chunk = chunk;
    this.#at = 0;
    for (;;) {
      const step = this.#steps.next();
      if (step.done === true || step.value === needInput) return;
      yield step.value;
    }
  }

  /** Says that the input has ended. @throws {GantryError} "corrupt" when the archive is truncated */
  finish(): void {
    this.#ended = true;
    this.#chunk = none;
    this.#at = 0;
    for (;;) {
      const step = this.#steps.next();
      if (step.done === true) return;
    }
  }

  *#parse(): Step<void> {
    for (;;) {
      const extended: Extended = { longName: undefined, longLink: undefined, pax: [] };
      const header = yield* this.#headers(extended);
      if (header === undefined) return yield* this.#trailing();
      yield* this.#entry(header, extended);
    }
  }

  /** The next entry's own header; extended headers before it are gathered. Undefined at the end of the archive. */
  *#headers(extended: Extended): Step<RawHeader | undefined> {
    for (let first = true; ; first = false) {
      const block = yield* this.#block(first && this.#limits.missingTrailer);
      if (block === undefined) return undefined;
      if (isZeroBlock(block)) {
        if (!first) throw new GantryError("corrupt", "the archive ends after an extended header");
        const second = yield* this.#block(true);
        if (second !== undefined && !isZeroBlock(second))
          throw new GantryError("corrupt", "a lone zero block in the archive");
        return undefined;
      }
      const header = parseHeader(block);
      if (++this.#entries > this.#limits.maxEntries) {
        throw new GantryError("corrupt", `the archive has more than ${this.#limits.maxEntries} entries`);
      }
      if (header.size < 0) throw new GantryError("corrupt", "negative size in a tar header");
      if (header.typeflag === "S") return yield* this.#oldSparse(header, block, extended);
      if (!(yield* this.#extension(header, extended))) return header;
    }
  }

  /** Reads one extended header; false when the header is an entry's own. */
  *#extension(header: RawHeader, extended: Extended): Step<boolean> {
    switch (header.typeflag) {
      case "x":
        extended.pax = parsePax(yield* this.#headerBody(header));
        return true;
      case "g":
        this.#addGlobal(parsePax(yield* this.#headerBody(header)));
        return true;
      case "L":
        extended.longName = untilNul(yield* this.#headerBody(header));
        return true;
      case "K":
        extended.longLink = untilNul(yield* this.#headerBody(header));
        return true;
      case "V":
        yield* this.#skip(header.size);
        return true;
      default:
        return false;
    }
  }

  /** Later global records replace earlier ones of the same key; all together have the bound of one header. */
  #addGlobal(added: PaxList): void {
    const keys = new Set(added.map(([key]) => key));
    this.#global = [...this.#global.filter(([key]) => !keys.has(key)), ...added];
    const size = this.#global.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    if (size > this.#limits.maxHeaderBytes)
      throw new GantryError("corrupt", "too many global PAX records in the archive");
  }

  *#headerBody(header: RawHeader): Step<Uint8Array> {
    if (header.size > this.#limits.maxHeaderBytes) {
      throw new GantryError(
        "corrupt",
        `an extended header of ${header.size} bytes is larger than ${this.#limits.maxHeaderBytes}`,
      );
    }
    const body = new Uint8Array(header.size);
    yield* this.#fill(body);
    yield* this.#skipPadding(header.size);
    return body;
  }

  /** GNU's old sparse header: four segments in the header, 21 in each block that follows. */
  *#oldSparse(header: RawHeader, block: Uint8Array, extended: Extended): Step<RawHeader> {
    const map: SparseSegment[] = [];
    parseOldSparse(block, 386, 4, map);
    const realSize = parseNumber(block, 483, 12);
    for (let more = block[482] !== 0; more;) {
      const next = yield* this.#block(false);
      if (next === undefined) throw truncated();
      parseOldSparse(next, 0, 21, map);
      more = next[504] !== 0;
    }
    const text = map.map((segment) => `${segment.offset},${segment.length}`).join(",");
    extended.pax = [
      ...extended.pax,
      ["GNU.sparse.map", Buffer.from(text)],
      ["GNU.sparse.realsize", Buffer.from(String(realSize))],
    ];
    return header;
  }

  *#entry(header: RawHeader, extended: Extended): Step<void> {
    const list = this.#global.length === 0 ? extended.pax : [...this.#global, ...extended.pax];
    const pax = paxMap(list);
    const stored = pax.get("size");
    let storedSize = stored === undefined ? header.size : parsePaxNumber(stored);
    let map = paxSparseMap(list);
    const hasLines =
      pax.has("GNU.sparse.major") && Buffer.from(pax.get("GNU.sparse.major") ?? none).toString() === "1";
    const entry = this.#describe(header, extended, list);
    if (entry.type !== "file") {
      yield { kind: "entry", entry: { ...entry, size: 0 } };
      // A dump directory has a listing as content; for all others the size has no meaning (as in Go's archive/tar).
      if (header.typeflag === "D") yield* this.#skip(storedSize);
      yield { kind: "end", entry };
      return;
    }
    const padding = storedSize;
    if (hasLines) {
      const lines = yield* this.#sparseLines(storedSize);
      map = lines.map;
      storedSize -= lines.bytes;
    }
    const realSize = pax.get("GNU.sparse.realsize") ?? pax.get("GNU.sparse.size");
    const size = map === undefined ? storedSize : parsePaxNumber(realSize ?? none);
    if (map !== undefined) checkSparse(map, size, storedSize);
    const file = { ...entry, size };
    yield { kind: "entry", entry: file };
    for (const segment of map ?? [{ offset: 0, length: storedSize }]) yield* this.#data(file, segment);
    // Before the padding, which the last entry may lack.
    yield { kind: "end", entry: file };
    yield* this.#skipPadding(padding);
  }

  #describe(header: RawHeader, extended: Extended, list: PaxList): TarEntry {
    const pax = paxMap(list);
    const text = (key: string): string | undefined => {
      const value = pax.get(key);
      return value === undefined ? undefined : decodeName(value);
    };
    const id = (key: string, value: number): number => {
      const record = pax.get(key);
      const number = record === undefined ? value : parsePaxNumber(record);
      if (number < 0 || number > maxId)
        throw new GantryError("corrupt", `${key} ${number} in a tar header is out of range`);
      return number;
    };
    const device = (key: string, value: number): number => {
      const record = pax.get(key);
      const number = record === undefined ? value : parsePaxNumber(record);
      if (number < 0 || number > maxDevice)
        throw new GantryError("corrupt", `device number ${number} in a tar header is out of range`);
      return number;
    };
    const path = text("GNU.sparse.name") ?? text("path") ?? extended.longName ?? header.name;
    const mtime = pax.get("mtime");
    const declared = types[header.typeflag];
    if (declared === undefined) {
      throw new GantryError(
        "unsupported",
        `entry ${JSON.stringify(path)} is of type ${JSON.stringify(header.typeflag)}`,
      );
    }
    const entry: TarEntry = {
      path,
      // Archives older than ustar mark a directory by its slash alone.
      type: declared === "file" && path.endsWith("/") ? "dir" : declared,
      mode: header.mode & 0o7777,
      uid: id("uid", header.uid),
      gid: id("gid", header.gid),
      size: 0,
      mtimeNs: mtime === undefined ? BigInt(header.mtime) * 1_000_000_000n : parsePaxTime(mtime),
      linkPath: text("linkpath") ?? extended.longLink ?? header.linkName,
      devMajor: device("SCHILY.devmajor", header.devMajor),
      devMinor: device("SCHILY.devminor", header.devMinor),
      xattrs: xattrsOf(list),
    };
    this.#checkPath(entry.path, entry.path);
    this.#checkPath(entry.linkPath, entry.path);
    return entry;
  }

  #checkPath(path: string, name: string): void {
    if (path.includes("\0"))
      throw new GantryError("corrupt", `NUL in the path of entry ${JSON.stringify(name.slice(0, 200))}`);
    if (nameBytes(path) > this.#limits.maxPathBytes) {
      throw new GantryError(
        "corrupt",
        `a path in the archive is longer than ${this.#limits.maxPathBytes} bytes: ${name.slice(0, 80)}…`,
      );
    }
  }

  *#sparseLines(storedSize: number): Step<{ readonly map: SparseSegment[]; readonly bytes: number }> {
    const lines = new SparseLines();
    for (let bytes = blockSize; ; bytes += blockSize) {
      if (bytes > storedSize) throw new GantryError("corrupt", "a sparse map in the archive has no end");
      const block = new Uint8Array(blockSize);
      yield* this.#fill(block);
      if (lines.add(block)) return { map: lines.map, bytes };
    }
  }

  *#data(entry: TarEntry, segment: SparseSegment): Step<void> {
    let done = 0;
    while (done < segment.length) {
      const bytes = yield* this.#some(segment.length - done);
      yield { kind: "data", entry, offset: segment.offset + done, bytes };
      done += bytes.length;
    }
  }

  /** At most `max` bytes of input, at least one. */
  *#some(max: number): Step<Uint8Array> {
    while (this.#at >= this.#chunk.length) {
      if (this.#ended) throw truncated();
      yield needInput;
    }
    const bytes = this.#chunk.subarray(this.#at, this.#at + max);
    this.#at += bytes.length;
    return bytes;
  }

  *#fill(into: Uint8Array): Step<void> {
    for (let at = 0; at < into.length;) {
      const bytes = yield* this.#some(into.length - at);
      into.set(bytes, at);
      at += bytes.length;
    }
  }

  /** The next block, or undefined when the input ends right before it and `endAllowed`. */
  *#block(endAllowed: boolean): Step<Uint8Array | undefined> {
    if (endAllowed && (yield* this.#isOver())) return undefined;
    const block = new Uint8Array(blockSize);
    yield* this.#fill(block);
    return block;
  }

  *#isOver(): Step<boolean> {
    while (this.#at >= this.#chunk.length && !this.#ended) yield needInput;
    return this.#at >= this.#chunk.length;
  }

  *#skip(size: number): Step<void> {
    for (let left = size; left > 0;) left -= (yield* this.#some(left)).length;
    yield* this.#skipPadding(size);
  }

  *#skipPadding(size: number): Step<void> {
    for (let left = (blockSize - (size % blockSize)) % blockSize; left > 0;) {
      if (this.#limits.missingTrailer && (yield* this.#isOver())) return;
      left -= (yield* this.#some(left)).length;
    }
  }

  *#trailing(): Step<void> {
    for (let total = 0; !this.#ended;) {
      total += this.#chunk.length - this.#at;
      this.#at = this.#chunk.length;
      if (total > this.#limits.maxTrailingBytes)
        throw new GantryError("corrupt", "too much data after the end of the archive");
      yield needInput;
    }
  }
}

function truncated(): GantryError {
  return new GantryError("corrupt", "the archive is truncated", { hint: "get or make the archive anew" });
}

function untilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decodeName(end < 0 ? bytes : bytes.subarray(0, end));
}
