/**
 * A blob that goes to a target while it is made. What goes wrong on that way is told to nobody: whoever copies the image finds
 * that the target lacks the blob, and sends it by itself, whole and resumed where it breaks.
 */
import { BytePipe } from "./byte-pipe.ts";
import type { BlobStream } from "./endpoint.ts";
import type { Descriptor } from "./manifest.ts";

export class EarlyBlob {
  readonly #pipe = new BytePipe();
  readonly #stream: BlobStream;
  readonly #sent: Promise<boolean>;

  constructor(stream: BlobStream) {
    this.#stream = stream;
    this.#sent = stream.send(this.#pipe).then(
      () => true,
      () => {
        this.#pipe.leave();
        return false;
      },
    );
  }

  /** The source's bytes, which go to the target, too. */
  async *tee(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    let isWhole = false;
    try {
      for await (const chunk of source) {
        await this.#pipe.write(chunk);
        yield chunk;
      }
      isWhole = true;
    } finally {
      // Half a blob must not look like a whole one.
      if (isWhole) this.#pipe.end();
      else this.#pipe.fail(new Error("the blob was not made to its end"));
    }
  }

  /** Ends the way of bytes that turned out to be this blob. */
  async keep(blob: Descriptor): Promise<void> {
    if (await this.#sent) await this.#stream.keep(blob).catch(() => this.#stream.drop());
    else await this.#stream.drop();
  }

  /** Ends the way of a blob that could not be made. */
  async drop(): Promise<void> {
    await this.#sent;
    await this.#stream.drop();
  }
}
