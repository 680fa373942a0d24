/** Bytes on their way, in the order they came: few in memory, many in a file. */
import { ScratchFile } from "./scratch-file.ts";

/** Kept in memory before anything is written; then written in pieces of this size. */
const pieceBytes = 128 << 10;
/** Buffers of that size which nobody uses now. */
const unused: Uint8Array[] = [];
const maxUnused = 64;

export class Spool {
  readonly #directory: string;
  #buffer: Uint8Array | undefined;
  #inMemory = 0;
  #written = 0;
  #file: ScratchFile | undefined;

  /** @param directory for files that outgrow the memory: on a disk, not in memory */
  constructor(directory: string) {
    this.#directory = directory;
  }

  get length(): number {
    return this.#written + this.#inMemory;
  }

  /** Copies: what comes from a socket is not held for longer than this. */
  async write(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length;) {
      this.#buffer ??= unused.pop() ?? new Uint8Array(pieceBytes);
      const some = piece.subarray(at, at + pieceBytes - this.#inMemory);
      this.#buffer.set(some, this.#inMemory);
      this.#inMemory += some.length;
      at += some.length;
      if (this.#inMemory === pieceBytes) await this.#flush(this.#buffer);
    }
  }

  /** Copies all of it to `all` from `offset` on. */
  async copyTo(all: Uint8Array, offset: number): Promise<void> {
    const at = offset + this.#written;
    const read = (await this.#file?.read(all.subarray(offset, at), 0)) ?? 0;
    if (read < this.#written) throw new Error("a spool file has lost its end");
    if (this.#buffer !== undefined) all.set(this.#buffer.subarray(0, this.#inMemory), at);
  }

  async close(): Promise<void> {
    if (this.#buffer !== undefined && unused.length < maxUnused) unused.push(this.#buffer);
    this.#buffer = undefined;
    await this.#file?.close();
  }

  async #flush(buffer: Uint8Array): Promise<void> {
    this.#file ??= await ScratchFile.create(this.#directory);
    await this.#file.write(buffer, this.#written);
    this.#written += buffer.length;
    this.#inMemory = 0;
  }
}
