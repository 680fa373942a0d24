/** Bytes handed from one loop to another, a piece at a time: the writer waits until the reader has taken the last one. */
export class BytePipe implements AsyncIterable<Uint8Array> {
  #piece: Uint8Array | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #left = false;
  #wake: (() => void) | undefined;

  /** Resolves when there is room for the next piece. Bytes that nobody reads any more are dropped. */
  async write(bytes: Uint8Array): Promise<void> {
    while (this.#piece !== undefined && !this.#left) await this.#change();
    if (this.#left) return;
    this.#piece = bytes;
    this.#tell();
  }

  end(): void {
    this.#ended = true;
    this.#tell();
  }

  /** The reader gets the error after what has been written. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#tell();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        const piece = this.#piece;
        if (piece !== undefined) {
          this.#piece = undefined;
          this.#tell();
          yield piece;
        } else if (this.#failure !== undefined) throw this.#failure.error;
        else if (this.#ended) return;
        else await this.#change();
      }
    } finally {
      this.leave();
    }
  }

  /** Nobody reads any more. */
  leave(): void {
    this.#left = true;
    this.#piece = undefined;
    this.#tell();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#wake;
      this.#wake = () => {
        before?.();
        resolve();
      };
    });
  }

  #tell(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
