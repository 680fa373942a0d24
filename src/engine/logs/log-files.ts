/** A rotated log as one stream of lines: `path.2`, `path.1`, `path`, oldest first; following goes on through rotations. */
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { isErrno } from "../../lib/index.ts";

const blockBytes = 64 * 1024;
/** A line longer than this is no log record: the monitor cuts at 16 KiB. */
const maxLineBytes = 64 * 1024;

/** How often a log that is rotated while it is being opened is opened anew. */
const maxAttempts = 50;

/**
 * Opens the files of a log, oldest first, as they are at one moment: when the monitor has rotated meanwhile they are opened
 * anew. None when there is no log. The caller disposes them.
 */
export function openLog(path: string): LineFile[] {
  for (let attempt = 1; ; attempt++) {
    const names = fileNames(path);
    const files = names.map(openIfThere).filter((file) => file !== undefined);
    const settled =
      files.length === names.length &&
      fileNames(path).join("\n") === names.join("\n") &&
      names.every((name, at) => inodeOf(name) === files[at]?.inode);
    if (settled || attempt === maxAttempts) return files;
    disposeAll(files);
  }
}

/** Opens the files that came after the one with `inode`; none while there are none. */
export function openSuccessors(path: string, inode: number): LineFile[] {
  if (inodeOf(path) === inode) return [];
  const files = openLog(path);
  // Not there: rotated away while nobody read; all that is left is later.
  const at = files.findIndex((file) => file.inode === inode);
  disposeAll(files.splice(0, at + 1));
  return files;
}

export function disposeAll(files: readonly LineFile[]): void {
  for (const file of files) file[Symbol.dispose]();
}

/** The paths of a log's files, oldest first. The directory is read: amid a rotation a number is missing. */
function fileNames(path: string): string[] {
  const name = basename(path);
  const numbers: number[] = [];
  for (const entry of entriesOf(dirname(path))) {
    const number = entry === name ? "0" : entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : "";
    if (/^\d+$/.test(number)) numbers.push(Number(number));
  }
  return numbers.sort((a, b) => b - a).map((number) => (number === 0 ? path : `${path}.${number}`));
}

function entriesOf(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    // ENOENT: the container is being removed.
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

function openIfThere(path: string): LineFile | undefined {
  try {
    return new LineFile(path);
  } catch (error) {
    // ENOENT: rotated between listing and opening.
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Reads one file's lines in order. Stands at the end of what has been written; `next` may give more later. */
export class LineFile {
  readonly #fd: number;
  readonly inode: number;
  /** Its size when it was opened. */
  readonly size: number;
  #rest: Buffer = Buffer.alloc(0);
  #position = 0;

  /** @throws the system error of open(2) */
  constructor(path: string) {
    this.#fd = openSync(path, "r");
    const { ino, size } = fstatSync(this.#fd);
    this.inode = ino;
    this.size = size;
  }

  /** The next call of `next` begins at `position`, where a line begins. */
  seek(position: number): void {
    this.#position = position;
  }

  /** The bytes from `position` on, at most `length`. */
  read(position: number, length: number): Buffer {
    const block = Buffer.allocUnsafe(length);
    return block.subarray(0, readSync(this.#fd, block, 0, length, position));
  }

  /** The next lines without their newlines, at most one block's; empty at `end`. A last line without newline waits. */
  next(end: number): Uint8Array[] {
    const lines: Uint8Array[] = [];
    while (lines.length === 0 && this.#position < end) {
      const block = this.read(this.#position, Math.min(blockBytes, end - this.#position));
      if (block.length === 0) return lines;
      this.#position += block.length;
      this.#rest = split(Buffer.concat([this.#rest, block]), lines);
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

/** Where the last `count` full records of `files` begin, searching backwards; undefined when the log is shorter. */
export function findTail(
  files: readonly LineFile[],
  count: number,
): { readonly index: number; readonly position: number } | undefined {
  let wanted = count;
  for (const [index, file] of [...files.entries()].reverse()) {
    const found = findTailIn(file, wanted);
    if ("position" in found) return { index, position: found.position };
    wanted -= found.records;
  }
  return undefined;
}

/** A record counts where it ends a line: ` F ` after the stream's name. */
const fullTag = /^\S+ (stdout|stderr) F /;

function findTailIn(file: LineFile, count: number): { position: number } | { records: number } {
  let position = file.size;
  let records = 0;
  let tail: Buffer = Buffer.alloc(0);
  while (position > 0) {
    const length = Math.min(blockBytes, position);
    position -= length;
    const text = Buffer.concat([file.read(position, length), tail]);
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
}

/** 0 when there is no such file now. */
function inodeOf(file: string): number {
  try {
    return statSync(file).ino;
  } catch (error) {
    // ENOENT: rotated between listing and looking.
    if (isErrno(error, "ENOENT")) return 0;
    throw error;
  }
}
