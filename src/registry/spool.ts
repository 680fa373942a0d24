/** Bytes on their way, in the order they came: few in memory, many in a file that has no name. */
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { GantryError } from "../lib/index.ts";

/** Kept in memory before anything is written; then written in pieces of this size. */
const pieceBytes = 256 << 10;

export class Spool {
  readonly #directory: string;
  #pieces: Uint8Array[] = [];
  #inMemory = 0;
  #written = 0;
  #file: FileHandle | undefined;

  /** @param directory for files that outgrow the memory: on a disk, not in memory */
  constructor(directory: string) {
    this.#directory = directory;
  }

  get length(): number {
    return this.#written + this.#inMemory;
  }

  /** Takes a copy of small pieces, which may be views of big buffers. */
  async write(piece: Uint8Array): Promise<void> {
    this.#pieces.push(piece.length < piece.buffer.byteLength ? piece.slice() : piece);
    this.#inMemory += piece.length;
    if (this.#inMemory >= pieceBytes) await this.#flush();
  }

  /** Copies all of it to `all` from `offset` on. */
  async copyTo(all: Uint8Array, offset: number): Promise<void> {
    let at = 0;
    while (at < this.#written) {
      const read = await this.#file?.read(all, offset + at, this.#written - at, at);
      if (read === undefined || read.bytesRead === 0) throw new Error("a spool file has lost its end");
      at += read.bytesRead;
    }
    for (const piece of this.#pieces) {
      all.set(piece, offset + at);
      at += piece.length;
    }
  }

  async close(): Promise<void> {
    this.#pieces = [];
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #flush(): Promise<void> {
    this.#file ??= await nameless(this.#directory);
    const { bytesWritten } = await this.#file.writev(this.#pieces, this.#written);
    if (bytesWritten < this.#inMemory)
      throw new GantryError("exhausted", `no space left in ${this.#directory}`);
    this.#written += bytesWritten;
    this.#pieces = [];
    this.#inMemory = 0;
  }
}

/** A file that is gone when it is closed or we are killed. */
async function nameless(directory: string): Promise<FileHandle> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = `${directory}/spool-${randomBytes(12).toString("hex")}`;
  const file = await open(path, "wx+", 0o600);
  await unlink(path);
  return file;
}
