/** Waiting for one's turn. */

/** Work of the same key runs one after the other. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => undefined);
    this.#last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }
}

/** So many big buffers and no more, used again and again; who finds none waits, in the order they came. */
export class Buffers {
  #unused: number;
  readonly #free: Uint8Array[] = [];
  readonly #waiting: ((buffer: Uint8Array) => void)[] = [];

  constructor(count: number) {
    this.#unused = count;
  }

  /** Lends `length` bytes of anything to `work`, which must be done with them when it resolves. */
  async use<T>(length: number, work: (bytes: Uint8Array) => Promise<T>): Promise<T> {
    let buffer = await this.#take();
    try {
      if (buffer.length < length) buffer = new Uint8Array(length);
      return await work(buffer.subarray(0, length));
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(buffer);
      else next(buffer);
    }
  }

  async #take(): Promise<Uint8Array> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#unused === 0) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#unused -= 1;
    return new Uint8Array(0);
  }
}
