/** Small pieces made into big writes, with two buffers: one is filled while the other is written. */
import { write } from "node:fs";

const bufferBytes = 256 << 10;
/** Buffers kept for the next who needs some. */
const maxFree = 16;
const free: Uint8Array[] = [];
/**
 * More than these at once do not wait for their writes: while they did, each connection would have megabytes in line, and the
 * processors have enough to do without.
 */
const maxWaiting = 6;
let open = 0;

export class Gathering {
  readonly #write: (bytes: Uint8Array) => Promise<void>;
  readonly #writeAtOnce: (bytes: Uint8Array) => void;
  #filling = take();
  #filled = 0;
  #other: Uint8Array | undefined;
  #writing: Promise<void> | undefined;

  /** @param write is called with bytes that stay as they are until it resolves, once at a time */
  constructor(write: (bytes: Uint8Array) => Promise<void>, writeAtOnce: (bytes: Uint8Array) => void) {
    this.#write = write;
    this.#writeAtOnce = writeAtOnce;
    open += 1;
  }

  /** Takes a copy, and the memory of the piece with it. @throws what an earlier write has thrown */
  async add(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length;) {
      const room = Math.min(piece.length - at, bufferBytes - this.#filled);
      this.#filling.set(room === piece.length ? piece : piece.subarray(at, at + room), this.#filled);
      this.#filled += room;
      at += room;
      if (this.#filled === bufferBytes) await this.#turn();
    }
    // Thousands of pieces a second would wait for the collector of garbage: hundreds of megabytes.
    if (piece.byteLength === piece.buffer.byteLength && piece.buffer instanceof ArrayBuffer)
      piece.buffer.transfer(0);
  }

  /** Waits for what is being written. @returns what has not been, valid until `release` */
  async end(): Promise<Uint8Array> {
    await this.#writing;
    return this.#filling.subarray(0, this.#filled);
  }

  /** The buffers are nobody's any more: only when nothing is being written. */
  release(): void {
    open -= 1;
    for (const buffer of [this.#filling, this.#other])
      if (buffer !== undefined && free.length < maxFree) free.push(buffer);
  }

  async #turn(): Promise<void> {
    await this.#writing;
    this.#writing = undefined;
    this.#filled = 0;
    if (open > maxWaiting) return this.#writeAtOnce(this.#filling);
    const writing = this.#write(this.#filling);
    // Told when it is waited for.
    writing.catch(() => undefined);
    this.#writing = writing;
    [this.#filling, this.#other] = [this.#other ?? take(), this.#filling];
  }
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
