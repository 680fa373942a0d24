/** Our stdio joined to a container by POST /containers/{id}/attach, the way of every Docker engine. */
import { Channel } from "../connection/channel.ts";
import type { Engine } from "../connection/engine.ts";
import { outputSplitter } from "../connection/output-stream.ts";
import { CliError } from "../errors.ts";
import { DetachScanner } from "./detach-keys.ts";
import { forwardSignals } from "./signals.ts";

export interface AttachRequest {
  readonly id: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly sigProxy: boolean;
  readonly detachKeys: readonly number[];
}

export class AttachedSession {
  readonly #engine: Engine;
  readonly #request: AttachRequest;
  readonly #cleanups: (() => void)[] = [];

  constructor(engine: Engine, request: AttachRequest) {
    this.#engine = engine;
    this.#request = request;
  }

  /** Attaches, then calls `start`; resolves when the output has ended or the user has detached. */
  async run(start: () => Promise<void>): Promise<"ended" | "detached"> {
    const { id, tty, stdin } = this.#request;
    const query = `stream=1&stdout=1&stderr=1${stdin ? "&stdin=1" : ""}`;
    const channel = await this.#engine.reach(() =>
      Channel.connect(this.#engine.address, {
        path: `/containers/${id}/attach?${query}`,
        onData: outputSplitter(tty),
      }),
    );
    this.#cleanups.push(() => channel.close());
    try {
      await channel.opened;
      await start();
      if (this.#request.sigProxy) this.#cleanups.push(forwardSignals((number) => void this.#kill(number)));
      if (tty) await this.#followSize();
      const detached = stdin ? this.#pump(channel) : new Promise<never>(() => undefined);
      return await Promise.race([channel.closed.then(() => "ended" as const), detached]);
    } finally {
      for (const cleanup of this.#cleanups.toReversed()) cleanup();
    }
  }

  async #kill(number: number): Promise<void> {
    try {
      await this.#engine.send("POST", `/containers/${this.#request.id}/kill`, { query: { signal: number } });
    } catch (error) {
      // The container has just ended: nobody is left to tell.
      if (!(error instanceof CliError)) throw error;
    }
  }

  async #followSize(): Promise<void> {
    const { terminalSize } = await import("./terminal.ts");
    const resize = async (): Promise<void> => {
      const size = terminalSize();
      if (size === undefined) return;
      const query = { h: size.rows, w: size.columns };
      // A container that has ended has no size.
      await this.#engine
        .send("POST", `/containers/${this.#request.id}/resize`, { query })
        .catch(() => undefined);
    };
    const onChange = (): void => void resize();
    process.on("SIGWINCH", onChange);
    this.#cleanups.push(() => void process.off("SIGWINCH", onChange));
    await resize();
  }

  /** Sends stdin until it ends; resolves only when the user detaches. */
  async #pump(channel: Channel): Promise<"detached"> {
    const { isTerminal, RawKeyboard } = await import("./terminal.ts");
    if (this.#request.tty && isTerminal(0)) {
      const keyboard = new RawKeyboard(!this.#request.sigProxy);
      this.#cleanups.push(() => keyboard[Symbol.dispose]());
      const scanner = new DetachScanner(this.#request.detachKeys);
      for await (const typed of keyboard.keys()) {
        const { pass, detached } = scanner.push(typed);
        if (pass.length > 0) await channel.write(pass);
        if (detached) return "detached";
      }
    } else {
      const reader = Bun.stdin.stream().getReader();
      this.#cleanups.push(() => void reader.cancel().catch(() => undefined));
      for (let piece = await reader.read(); !piece.done; piece = await reader.read())
        await channel.write(piece.value);
    }
    channel.end();
    return new Promise<never>(() => undefined);
  }
}
