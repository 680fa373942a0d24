/**
 * Gives memory back when nothing has been asked of the engine for a while: what the JavaScript heap holds of the last
 * requests, and the pages of program text, which come back from the page cache with the next request. One timer while
 * there is work, none while there is not.
 */
import type { Sys } from "../kernel/index.ts";

export class IdleTrim {
  readonly #sys: Pick<Sys, "trimText">;
  readonly #idleMs: number;
  #lastMs = 0;
  #timer: Timer | undefined;

  constructor(sys: Pick<Sys, "trimText">, idleMs = 1000) {
    this.#sys = sys;
    this.#idleMs = idleMs;
  }

  /** Something was asked, or has happened. */
  touch(): void {
    this.#lastMs = performance.now();
    this.#timer ??= this.#arm(this.#idleMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #arm(ms: number): Timer {
    const timer = setTimeout(() => this.#look(), ms);
    timer.unref();
    return timer;
  }

  #look(): void {
    const left = this.#lastMs + this.#idleMs - performance.now();
    this.#timer = left > 1 ? this.#arm(left) : undefined;
    if (this.#timer !== undefined) return;
    Bun.gc(true);
    this.#sys.trimText();
  }
}
