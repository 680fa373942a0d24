/** At most so many at a time; the others wait in the order they came. */
export class Limiter {
  #most: number;
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
    this.#free = most;
  }

  /** Another number from now on; what runs goes on, also when it is more than that. */
  limit(most: number): void {
    this.#free += most - this.#most;
    this.#most = most;
    for (; this.#free > 0 && this.#waiting.length > 0; this.#free--) this.#waiting.shift()?.();
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      this.#free++;
      if (this.#free > 0 && this.#waiting.length > 0) {
        this.#free--;
        this.#waiting.shift()?.();
      }
    }
  }
}
