/**
 * Waits that can be ended from outside. A race with a promise that lives as long as the whole work would keep every value
 * that was ever raced with it; a wait leaves nothing behind.
 */
export class Interrupt {
  #reject: ((error: unknown) => void) | undefined;
  #raised: { readonly error: unknown } | undefined;

  /** Ends the wait that is on, and later ones as soon as they begin. The first error counts. */
  raise(error: unknown): void {
    this.#raised ??= { error };
    this.#reject?.(this.#raised.error);
  }

  /** What the promise gives, or the error that was raised. One wait at a time. */
  async wait<T>(promise: PromiseLike<T>): Promise<T> {
    const outcome = Promise.withResolvers<T>();
    promise.then(outcome.resolve, outcome.reject);
    this.#reject = outcome.reject;
    if (this.#raised !== undefined) outcome.reject(this.#raised.error);
    try {
      return await outcome.promise;
    } finally {
      this.#reject = undefined;
    }
  }
}
