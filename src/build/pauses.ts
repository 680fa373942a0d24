/** Long loops over what others made (files of a context, patterns) must not stop the engine: they pause. */
import { setImmediate } from "node:timers/promises";

/** Longest time that is taken at once, in milliseconds. */
const maxMs = 15;

export class Pauses {
  readonly #signal: AbortSignal;
  #since = performance.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Lets others work when this loop has had its time. @throws the signal's reason when it has aborted */
  async point(): Promise<void> {
    if (performance.now() - this.#since < maxMs) return;
    await setImmediate();
    this.#signal.throwIfAborted();
    this.#since = performance.now();
  }
}
