/** Bytes on their way, in the order they came: few in memory, many in a file. */
import { ScratchFile } from "./scratch-file.ts";

/** Kept in memory before anything is written; then written in pieces of this size. */
const pieceBytes = 256 << 10;

export class Spool {
  readonly #directory: string;
  #pieces: Uint8Array[] = [];
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

  /** Takes a copy of small pieces, which may be views of big buffers. */
  async write(piece: Uint8Array): Promise<void> {
    this.#pieces.push(piece.length < piece.buffer.byteLength ? piece.slice() : piece);
    this.#inMemory += piece.length;
    if (this.#inMemory >= pieceBytes) await this.#flush();
  }

  /** Copies all of it to `all` from `offset` on. */
  async copyTo(all: Uint8Array, offset: number): Promise<void> {
    let at = offset + this.#written;
    const read = (await this.#file?.read(all.subarray(offset, at), 0)) ?? 0;
    if (read < this.#written) throw new Error("a spool file has lost its end");
    for (const piece of this.#pieces) {
      all.set(piece, at);
      at += piece.length;
    }
  }

  async close(): Promise<void> {
    this.#pieces = [];
    await this.#file?.close();
  }

  async #flush(): Promise<void> {
    this.#file ??= await ScratchFile.create(this.#directory);
    for (const piece of this.#pieces) {
      await this.#file.write(piece, this.#written);
      this.#written += piece.length;
    }
    this.#pieces = [];
    this.#inMemory = 0;
  }
}
