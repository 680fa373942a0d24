/** A session that first says what the log holds, then goes on live. */
import { messageOf } from "../../lib/index.ts";
import type { AttachSession } from "../../runtime/index.ts";

type Handlers = Parameters<AttachSession["begin"]>[0];

const headerBytes = 8;

export class LogThenLive implements AttachSession {
  readonly #log: AsyncIterable<Uint8Array>;
  readonly #end: AbortController;
  readonly #live: AttachSession;

  /**
   * @param log messages with Docker's 8-byte header, whole ones in each chunk
   * @param end ends the log
   */
  constructor(log: AsyncIterable<Uint8Array>, end: AbortController, live: AttachSession) {
    this.#log = log;
    this.#end = end;
    this.#live = live;
  }

  begin(handlers: Handlers): void {
    void this.#replay(handlers).then(() => this.#live.begin(handlers));
  }

  async #replay(handlers: Handlers): Promise<void> {
    try {
      for await (const chunk of this.#log) {
        for (const [stream, text] of messages(chunk)) await handlers.onOutput(stream, text);
      }
    } catch (error) {
      // A log that cannot be read (driver none, a broken disk) is told where output goes, and the session goes on live.
      await handlers.onOutput(2, Buffer.from(`gantry: ${messageOf(error)}\n`));
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#live.write(bytes);
  }

  endStdin(): void {
    this.#live.endStdin();
  }

  resize(rows: number, cols: number): void {
    this.#live.resize(rows, cols);
  }

  close(): void {
    this.#end.abort();
    this.#live.close();
  }
}

/** Cuts a chunk of framed messages. */
export function* messages(chunk: Uint8Array): Generator<readonly [1 | 2, Uint8Array]> {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  for (let at = 0; at + headerBytes <= chunk.length;) {
    const length = view.getUint32(at + 4);
    yield [chunk[at] === 2 ? 2 : 1, chunk.subarray(at + headerBytes, at + headerBytes + length)];
    at += headerBytes + length;
  }
}
