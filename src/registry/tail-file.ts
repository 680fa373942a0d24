/**
 * A file that is read while it is written: what comes in from one side at its own pace goes out to many at theirs. The last
 * byte is given out only when the writer says that all is right, so that nobody has the whole of what is wrong.
 */
import { ScratchFile } from "./scratch-file.ts";

const readBytes = 256 << 10;

export class TailFile {
  readonly #file: ScratchFile;
  #length = 0;
  #end: { readonly error?: unknown } | undefined;
  #readers = 0;
  #wake: (() => void)[] = [];

  private constructor(file: ScratchFile) {
    this.#file = file;
  }

  static async create(directory: string): Promise<TailFile> {
    return new TailFile(await ScratchFile.create(directory));
  }

  async write(piece: Uint8Array): Promise<void> {
    await this.#file.write(piece, this.#length);
    this.#length += piece.length;
    this.#wakeAll();
  }

  /** No more comes; with an error, readers get it instead of the last byte. */
  async finish(error?: unknown): Promise<void> {
    this.#end ??= error === undefined ? {} : { error };
    this.#wakeAll();
    await this.#closeUnused();
  }

  /** All bytes from `start` to `end` (included), as they come. */
  read(start = 0, end = Number.POSITIVE_INFINITY): ReadableStream<Uint8Array> {
    let at = start;
    let isOpen = true;
    this.#readers += 1;
    const leave = async (): Promise<void> => {
      if (!isOpen) return;
      isOpen = false;
      this.#readers -= 1;
      await this.#closeUnused();
    };
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          try {
            const piece = at > end ? undefined : await this.#next(at, end);
            if (piece === undefined) {
              await leave();
              controller.close();
            } else {
              at += piece.length;
              controller.enqueue(piece);
            }
          } catch (error) {
            await leave();
            controller.error(error);
          }
        },
        cancel: leave,
      },
      { highWaterMark: 0 },
    );
  }

  /** At least one byte from `at` on; undefined at the end. */
  async #next(at: number, end: number): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#end?.error !== undefined) throw this.#end.error;
      const limit = Math.min(this.#end === undefined ? this.#length - 1 : this.#length, end + 1);
      if (at < limit) {
        const buffer = new Uint8Array(Math.min(readBytes, limit - at));
        return buffer.subarray(0, await this.#file.read(buffer, at));
      }
      if (this.#end !== undefined) return undefined;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }

  async #closeUnused(): Promise<void> {
    if (this.#end !== undefined && this.#readers === 0) await this.#file.close();
  }
}
