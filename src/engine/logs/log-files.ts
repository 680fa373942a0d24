/** A rotated log as one stream of lines: `path.2`, `path.1`, `path`, oldest first; following goes on through rotations. */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { isErrno } from "../../lib/index.ts";

const blockBytes = 64 * 1024;
/** A line longer than this is no log record: the monitor cuts at 16 KiB. */
const maxLineBytes = 64 * 1024;

/** The files of a log that exist, oldest first. */
export function logFiles(path: string): string[] {
  const files: string[] = [];
  for (let n = 1; existsSync(`${path}.${n}`); n++) files.unshift(`${path}.${n}`);
  if (existsSync(path)) files.push(path);
  return files;
}

/** Reads one file's lines in order. Stands at the end of what has been written; `next` may give more later. */
export class LineFile {
  readonly #fd: number;
  readonly inode: number;
  #rest: Buffer = Buffer.alloc(0);
  #position: number;

  /** @throws the system error of open(2) */
  constructor(path: string, position = 0) {
    this.#fd = openSync(path, "r");
    this.inode = fstatSync(this.#fd).ino;
    this.#position = position;
  }

  /** The next lines without their newlines, at most one block's; empty at the end. A last line without newline waits. */
  next(): Uint8Array[] {
    const block = Buffer.allocUnsafe(blockBytes);
    const lines: Uint8Array[] = [];
    while (lines.length === 0) {
      const got = readSync(this.#fd, block, 0, blockBytes, this.#position);
      if (got === 0) return lines;
      this.#position += got;
      this.#rest = split(Buffer.concat([this.#rest, block.subarray(0, got)]), lines);
      if (this.#rest.length > maxLineBytes) this.#rest = Buffer.alloc(0);
    }
    return lines;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** Moves complete lines of `bytes` to `lines` and returns what is left. */
function split(bytes: Buffer, lines: Uint8Array[]): Buffer {
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return Buffer.from(bytes.subarray(start));
}

export interface Place {
  readonly file: string;
  readonly position: number;
}

/** Where the last `count` full records begin, searching backwards; undefined when the log is shorter. */
export function findTail(path: string, count: number): Place | undefined {
  let wanted = count;
  for (const file of logFiles(path).reverse()) {
    const found = findTailIn(file, wanted);
    if ("position" in found) return { file, position: found.position };
    wanted -= found.records;
  }
  return undefined;
}

/** A record counts where it ends a line: ` F ` after the stream's name. */
const fullTag = /^\S+ (stdout|stderr) F /;

function findTailIn(file: string, count: number): { position: number } | { records: number } {
  const fd = openSync(file, "r");
  try {
    const size = fstatSync(fd).size;
    let position = size;
    let records = 0;
    let tail: Buffer = Buffer.alloc(0);
    while (position > 0) {
      const length = Math.min(blockBytes, position);
      position -= length;
      const block = Buffer.alloc(length);
      readSync(fd, block, 0, length, position);
      const text = Buffer.concat([block, tail]);
      let end = text.length;
      for (let at = text.lastIndexOf(10, end - 2); at >= 0 && end > 1; at = text.lastIndexOf(10, end - 2)) {
        if (fullTag.test(text.subarray(at + 1, at + 64).toString("latin1")) && ++records > count)
          return { position: position + end };
        end = at + 1;
        if (end < 2) break;
      }
      tail = Buffer.from(text.subarray(0, end));
    }
    if (tail.length > 0 && fullTag.test(tail.subarray(0, 64).toString("latin1")) && ++records > count) {
      return { position: tail.length };
    }
    return { records };
  } finally {
    closeSync(fd);
  }
}

/** The file that follows the one with `inode` in rotation order; undefined while there is none. */
export function successorOf(path: string, inode: number): string | undefined {
  const files = logFiles(path);
  const at = files.findIndex((file) => inodeOf(file) === inode);
  // Rotated away while nobody read: go on with the oldest that is left.
  return at < 0 ? files[0] : files[at + 1];
}

function inodeOf(file: string): number {
  try {
    return statSync(file).ino;
  } catch (error) {
    // ENOENT: rotated between listing and looking.
    if (isErrno(error, "ENOENT")) return 0;
    throw error;
  }
}
