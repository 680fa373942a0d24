/** What a build says, in docker's words. With `quiet` everything is kept back and only said when the build fails. */
import { type Digest, digestHex } from "../lib/index.ts";
import type { BuildMessage, TakeMessage } from "./types.ts";

/** UTF-16 units that are kept back; older text is dropped. */
const maxKept = 1 << 20;

/** The 12 digits that are shown of an image or container. */
export function shortDigest(id: Digest | undefined): string {
  return id === undefined ? "" : digestHex(id).slice(0, 12);
}

export class BuildOutput {
  readonly #onMessage: TakeMessage;
  readonly #quiet: boolean;
  #kept = "";

  constructor(onMessage: TakeMessage, quiet: boolean) {
    this.#onMessage = onMessage;
    this.#quiet = quiet;
  }

  /** @returns what the taker says: a promise asks to wait with more */
  text(text: string): void | Promise<void> {
    if (!this.#quiet) return this.#onMessage({ stream: text });
    this.#kept = (this.#kept + text).slice(-maxKept);
  }

  line(text: string): void {
    this.#say({ stream: `${text}\n` });
  }

  /** For the few messages of our own, which need not wait for the taker. */
  #say(message: BuildMessage): void {
    if (this.#quiet && "stream" in message) this.text(message.stream);
    else void this.#onMessage(message);
  }

  /** A message of somebody else's making. */
  pass(message: BuildMessage): void {
    if (!this.#quiet) this.#say(message);
  }

  imageId(ID: Digest): void {
    this.#say({ aux: { ID } });
  }

  /** The end of a build that went well. */
  succeeded(id: Digest, tags: readonly string[]): void {
    this.line(`Successfully built ${shortDigest(id)}`);
    for (const tag of tags) this.line(`Successfully tagged ${tag}`);
    if (this.#quiet) void this.#onMessage({ stream: `${id}\n` });
  }

  /** The end of one that did not: says what was kept back. */
  failed(): void {
    if (this.#kept !== "") void this.#onMessage({ stream: this.#kept });
    this.#kept = "";
  }
}

/** Turns a command's bytes into messages: characters are never split, what comes on stderr is red as docker has it. */
export class CommandOutput {
  readonly #output: BuildOutput;
  readonly #decoders = { 1: new TextDecoder(), 2: new TextDecoder() };

  constructor(output: BuildOutput) {
    this.#output = output;
  }

  write(stream: 1 | 2, bytes: Uint8Array): void | Promise<void> {
    return this.#say(stream, this.#decoders[stream].decode(bytes, { stream: true }));
  }

  end(): void {
    void this.#say(1, this.#decoders[1].decode());
    void this.#say(2, this.#decoders[2].decode());
  }

  #say(stream: 1 | 2, text: string): void | Promise<void> {
    if (text !== "") return this.#output.text(stream === 1 ? text : `\u001B[91m${text}\u001B[0m`);
  }
}
