/** A value that is loaded again when it is asked for after a while: what other processes change counts soon, and costs little. */
export class Cached<T> {
  readonly #load: () => Promise<T>;
  readonly #forMs: number;
  readonly #now: () => number;
  #known: { readonly untilMs: number; readonly value: Promise<T> } | undefined;

  constructor(forMs: number, load: () => Promise<T>, now: () => number = Date.now) {
    this.#forMs = forMs;
    this.#load = load;
    this.#now = now;
  }

  get(): Promise<T> {
    if (this.#known !== undefined && this.#now() < this.#known.untilMs) return this.#known.value;
    const value = this.#load();
    this.#known = { untilMs: this.#now() + this.#forMs, value };
    // A failure is not kept.
    value.catch(() => this.forget());
    return value;
  }

  forget(): void {
    this.#known = undefined;
  }
}
