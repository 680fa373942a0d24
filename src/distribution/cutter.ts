/** The body of an upload, piece by piece: one request takes up where the one before ended. */
import { GantryError } from "../lib/index.ts";

/** Cuts a stream of bytes into pieces of a size. */
export class Cutter {
  readonly #source: AsyncGenerator<Uint8Array, void, void>;
  #rest: Uint8Array = new Uint8Array(0);
  #isTaken = false;
  failure: unknown;

  constructor(source: AsyncGenerator<Uint8Array, void, void>) {
    this.#source = source;
  }

  async *piece(length: number): AsyncGenerator<Uint8Array, void, void> {
    // A request that is sent a second time, with a new token, cannot have what went out with the first.
    if (this.#isTaken) throw new GantryError("unavailable", "an upload was asked for again in its middle");
    this.#isTaken = true;
    for (let left = length; left > 0;) {
      const chunk = await this.#next();
      this.#rest = chunk.subarray(Math.min(left, chunk.length));
      left -= chunk.length - this.#rest.length;
      yield this.#rest.length === 0 ? chunk : chunk.subarray(0, chunk.length - this.#rest.length);
    }
    this.#isTaken = false;
  }

  async #next(): Promise<Uint8Array> {
    if (this.#rest.length > 0) return this.#rest;
    try {
      const next = await this.#source.next();
      if (next.done !== true) return next.value;
    } catch (error) {
      this.failure = error;
      throw error;
    }
    this.failure = new GantryError("corrupt", "the source has ended too early");
    throw this.failure;
  }

  async close(): Promise<void> {
    await this.#source.return();
  }
}
