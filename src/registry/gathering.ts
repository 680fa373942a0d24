/** Small pieces made into blocks that are worth a message to another thread. */

export const blockBytes = 256 << 10;
/** Not copied: clients that are near send half megabytes. */
const bigBytes = 128 << 10;

export class Gathering {
  /** Not copied: most small blobs come in one piece. */
  #first: Uint8Array | undefined;
  #filling: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;

  /** Takes the piece, and its memory with it. @returns blocks that are whole, each with a buffer of its own */
  *add(piece: Uint8Array): Generator<Uint8Array<ArrayBuffer>, void, void> {
    if (piece.length >= bigBytes && isAlone(piece)) {
      const before = this.rest();
      if (before !== undefined) yield before;
      yield piece;
      return;
    }
    if (this.#filled === 0 && this.#first === undefined) {
      this.#first = piece;
      return;
    }
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) yield* this.#copy(first);
    yield* this.#copy(piece);
  }

  *#copy(piece: Uint8Array): Generator<Uint8Array<ArrayBuffer>, void, void> {
    for (let at = 0; at < piece.length;) {
      this.#filling ??= new Uint8Array(blockBytes);
      const room = Math.min(piece.length - at, blockBytes - this.#filled);
      this.#filling.set(piece.subarray(at, at + room), this.#filled);
      this.#filled += room;
      at += room;
      if (this.#filled < blockBytes) continue;
      const full = this.#filling;
      this.#filling = undefined;
      this.#filled = 0;
      yield full;
    }
    // Thousands of pieces a second would wait for the collector of garbage: hundreds of megabytes.
    if (isAlone(piece)) piece.buffer.transfer(0);
  }

  /** What has been gathered and is no whole block yet; nothing is gathered any more. */
  rest(): Uint8Array<ArrayBuffer> | undefined {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) return isAlone(first) ? first : new Uint8Array(first);
    const rest = this.#filled === 0 ? undefined : this.#filling?.subarray(0, this.#filled);
    this.#filling = undefined;
    this.#filled = 0;
    return rest;
  }
}

/** Whether nothing else lives in its buffer. */
function isAlone(piece: Uint8Array): piece is Uint8Array<ArrayBuffer> {
  return piece.byteLength === piece.buffer.byteLength && piece.buffer instanceof ArrayBuffer;
}
