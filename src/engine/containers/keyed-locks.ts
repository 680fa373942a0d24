/** One thing at a time for each key: work on the same container waits in line, other containers go on. */
export class KeyedLocks {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` when all earlier work of `key` has ended, whether well or not. */
  async run<T>(key: string, work: () => Promise<T> | T): Promise<T> {
    const before = this.#tails.get(key);
    const { promise: mine, resolve: done } = Promise.withResolvers<void>();
    this.#tails.set(key, mine);
    try {
      if (before !== undefined) await before;
      return await work();
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
      done();
    }
  }

  /** Resolves when nothing is being done any more. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}
