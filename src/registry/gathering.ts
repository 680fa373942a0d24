/** Small pieces made into big writes, with two buffers: one is filled while the other is written. */
import { write } from "node:fs";

const bufferBytes = 256 << 10;
/** Not copied: clients that are near send half megabytes. */
const bigBytes = 128 << 10;
/** Buffers kept for the next who needs some. */
const maxFree = 16;
const free: Uint8Array[] = [];
/**
 * Writes that run beside the receiving, of all uploads together. Who finds so many running writes at once: that holds up all
 * connections in the kernel, where waiting for a turn would have each put megabytes in line here.
 */
const maxRunning = 3;
let running = 0;

export class Gathering {
  readonly #write: (bytes: Uint8Array) => Promise<void>;
  readonly #writeAtOnce: (bytes: Uint8Array) => void;
  #filling: Uint8Array | undefined;
  #filled = 0;
  #other: Uint8Array | undefined;
  #writing: Promise<void> | undefined;

  /** @param write is called with bytes that stay as they are until it resolves, once at a time */
  constructor(write: (bytes: Uint8Array) => Promise<void>, writeAtOnce: (bytes: Uint8Array) => void) {
    this.#write = write;
    this.#writeAtOnce = writeAtOnce;
  }

  /** Takes the piece, and its memory with it. @throws what an earlier write has thrown */
  async add(piece: Uint8Array): Promise<void> {
    if (piece.length >= bigBytes) return this.#addBig(piece);
    for (let at = 0; at < piece.length;) {
      this.#filling ??= take();
      const room = Math.min(piece.length - at, bufferBytes - this.#filled);
      this.#filling.set(room === piece.length ? piece : piece.subarray(at, at + room), this.#filled);
      this.#filled += room;
      at += room;
      if (this.#filled === bufferBytes) await this.#turn(this.#filling);
    }
    discard(piece);
  }

  /** Waits for what is being written. @returns what has not been, valid until `release` */
  async end(): Promise<Uint8Array | undefined> {
    await this.#writing;
    return this.#filling?.subarray(0, this.#filled);
  }

  /** The buffers are nobody's any more: only when nothing is being written. */
  release(): void {
    for (const buffer of [this.#filling, this.#other])
      if (buffer !== undefined && free.length < maxFree) free.push(buffer);
  }

  /** Written as it is. */
  async #addBig(piece: Uint8Array): Promise<void> {
    await this.#written();
    if (this.#filling !== undefined) this.#writeAtOnce(this.#filling.subarray(0, this.#filled));
    this.#filled = 0;
    this.#begin(piece, () => discard(piece));
  }

  async #turn(full: Uint8Array): Promise<void> {
    await this.#written();
    this.#filled = 0;
    if (!this.#begin(full)) return;
    this.#filling = this.#other;
    this.#other = full;
  }

  async #written(): Promise<void> {
    await this.#writing;
    this.#writing = undefined;
  }

  /** @returns false when all has been written already */
  #begin(bytes: Uint8Array, then?: () => void): boolean {
    if (running >= maxRunning) {
      this.#writeAtOnce(bytes);
      then?.();
      return false;
    }
    running += 1;
    this.#writing = this.#write(bytes).finally(() => {
      running -= 1;
      then?.();
    });
    // What it throws is told when it is waited for.
    this.#writing.catch(() => undefined);
    return true;
  }
}

/** Thousands of pieces a second would wait for the collector of garbage: hundreds of megabytes. */
function discard(piece: Uint8Array): void {
  if (piece.byteLength === piece.buffer.byteLength && piece.buffer instanceof ArrayBuffer)
    piece.buffer.transfer(0);
}

/** All of it, however many calls that takes. */
export async function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await writeOnce(fd, bytes, at, position + at);
}

function writeOnce(fd: number, bytes: Uint8Array, at: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, at, bytes.length - at, position, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

function take(): Uint8Array {
  return free.pop() ?? new Uint8Array(bufferBytes);
}
