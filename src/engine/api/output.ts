/** Writing to clients, no faster than they read. */
import type { ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import { GantryError } from "../../lib/index.ts";
import { drain } from "./read-body.ts";

/**
 * Writes bytes; a promise only when the client is slower than we, resolved when it has caught up or gone away.
 */
export function writeTo(sink: Writable, bytes: Uint8Array | string): Promise<void> | undefined {
  if (sink.destroyed || sink.writableEnded) return undefined;
  if (sink.write(bytes)) return undefined;
  return new Promise((resolve) => {
    const done = (): void => {
      sink.off("drain", done);
      sink.off("close", done);
      resolve();
    };
    sink.on("drain", done);
    sink.on("close", done);
  });
}

/** Sends what a source yields as the response's body; the head goes out with the first piece, or at once with `flush`. */
export async function sendStream(
  response: ServerResponse,
  source: AsyncIterable<Uint8Array>,
  options: { readonly contentType: string; readonly flush?: boolean },
): Promise<void> {
  response.setHeader("Content-Type", options.contentType);
  if (options.flush === true) response.flushHeaders();
  for await (const piece of source) {
    if (response.destroyed) return;
    await writeTo(response, piece);
  }
  response.end();
}

/** More than this waiting for a client that does not read ends its request. */
const mostWaiting = 32 << 20;

/**
 * JSON objects one after the other, as /build, /images/create and /images/load answer. The head goes out with the first
 * one: a failure before it is an ordinary HTTP error, one behind it is a message of its own.
 */
export class JsonMessages {
  readonly #response: ServerResponse;
  readonly #tooSlow = new AbortController();
  #started = false;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  /** Aborted when the client reads so slowly that messages pile up. */
  get tooSlow(): AbortSignal {
    return this.#tooSlow.signal;
  }

  /** A promise when the client is slower than we; a caller that cannot wait need not. */
  send(message: object): Promise<void> | undefined {
    if (!this.#started) {
      this.#started = true;
      this.#response.setHeader("Content-Type", "application/json");
    }
    if (this.#response.writableLength > mostWaiting) {
      this.#tooSlow.abort(new GantryError("canceled", "the client does not read the engine's messages"));
      this.#response.destroy();
      return undefined;
    }
    return writeTo(this.#response, `${JSON.stringify(message)}\r\n`);
  }

  /** Ends the answer. */
  end(): void {
    if (!this.#started) this.#response.setHeader("Content-Type", "application/json");
    this.#response.end();
  }

  /** Ends the answer with a failure; throws it on when nothing was sent yet. */
  async fail(error: GantryError): Promise<void> {
    if (!this.#started) throw error;
    await this.failInStream(error);
  }

  /** Ends the answer with a failure as a message, also where it is the first one and the status says success. */
  async failInStream(error: GantryError): Promise<void> {
    const code = error.fields["exitCode"];
    const errorDetail = {
      ...(typeof code === "number" ? { code } : {}),
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    };
    void this.send({ errorDetail, error: error.message });
    await drain(this.#response.req);
    this.#response.end();
  }
}
