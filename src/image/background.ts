/** Deletions that nobody has to wait for: what is deleted has been renamed out of the way already. */
import { promises as fs } from "node:fs";
import { type Logger, messageOf } from "../lib/index.ts";

export class Background {
  readonly #logger: Logger;
  #last: Promise<void> = Promise.resolve();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Deletes a file or tree, one after the other; a failure is logged and tried again at the next start. */
  remove(path: string): Promise<void> {
    this.#last = this.#last.then(async () => {
      try {
        await fs.rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 100 });
      } catch (error) {
        this.#logger.warn("image.leftover", { path, error: messageOf(error) });
      }
    });
    return this.#last;
  }

  /** Resolves when all that was asked for so far is done. */
  idle(): Promise<void> {
    return this.#last;
  }
}
