/**
 * Our stdin, stdout and stderr joined to a program that the engine runs, over one connection and one round trip:
 * POST /gantry/run and POST /gantry/containers/{id}/exec.
 */
import { Channel } from "../connection/channel.ts";
import type { Engine } from "../connection/engine.ts";
import {
  encodeFrame,
  encodeJsonFrame,
  encodeResize,
  encodeSignal,
  FrameDecoder,
  frameType,
  longestPiece,
} from "../connection/frames.ts";
import { CliError } from "../errors.ts";
import { type PieceWriter, pieceWriter } from "../output.ts";
import { parseErrorFrame, parseExitFrame, parseCreatedFrame, type Created } from "./parse-frames.ts";

export interface SessionRequest {
  readonly path: string;
  /** The RUN frame, but Rows and Cols. */
  readonly run: object;
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly sigProxy: boolean;
  readonly detachKeys: readonly number[];
  /** Called once the engine has made the thing; before any output. */
  readonly onCreated?: (created: Created) => Promise<void> | void;
  /** The session is over with CREATED: the program runs in the background. */
  readonly detach: boolean;
}

export interface SessionResult {
  readonly exitCode: number;
  /** The user pressed the detach keys; the program goes on. */
  readonly detached: boolean;
}

/** @throws {CliError} when the engine refuses, the program cannot be started, or the connection breaks */
export async function joinSession(engine: Engine, request: SessionRequest): Promise<SessionResult> {
  const session = new JoinedSession(engine, request);
  return session.run();
}

class JoinedSession {
  readonly #engine: Engine;
  readonly #request: SessionRequest;
  readonly #frames = new FrameDecoder();
  readonly #result = Promise.withResolvers<SessionResult>();
  readonly #cleanups: (() => void)[] = [];
  #stdout: PieceWriter | undefined;
  #stderr: PieceWriter | undefined;
  #channel: Channel | undefined;

  constructor(engine: Engine, request: SessionRequest) {
    this.#engine = engine;
    this.#request = request;
  }

  async run(): Promise<SessionResult> {
    const { request } = this;
    const size = request.tty ? (await import("./terminal.ts")).terminalSize() : undefined;
    const early = encodeJsonFrame(frameType.run, {
      ...request.run,
      Rows: size?.rows ?? 0,
      Cols: size?.columns ?? 0,
    });
    try {
      const channel = await this.#engine.reach(() =>
        Channel.connect(this.#engine.address, {
          path: request.path,
          early,
          onData: (bytes) => this.#receive(bytes),
        }),
      );
      this.#channel = channel;
      if (request.sigProxy && !request.detach) {
        const { forwardSignals } = await import("./signals.ts");
        this.#cleanups.push(forwardSignals((number) => void channel.write(encodeSignal(number))));
      }
      const ended = channel.closed.then((): never => {
        throw new CliError("the engine closed the connection before the end was known", {
          hint: "the container may still run; see: gantry ps",
        });
      });
      return await Promise.race([this.#result.promise, ended]);
    } finally {
      for (const cleanup of this.#cleanups) cleanup();
      this.#channel?.close();
    }
  }

  get request(): SessionRequest {
    return this.#request;
  }

  /** Handles pieces in order; a promise only when a piece had to wait for a slow reader. */
  #receive(bytes: Uint8Array): Promise<void> | undefined {
    const pieces = this.#frames.push(bytes);
    for (const [index, piece] of pieces.entries()) {
      const busy = this.#handle(piece.type, piece.bytes);
      if (busy !== undefined) return this.#handleRest(busy, pieces.slice(index + 1));
    }
    return undefined;
  }

  async #handleRest(
    busy: Promise<void>,
    rest: readonly { readonly type: number; readonly bytes: Uint8Array }[],
  ): Promise<void> {
    await busy;
    for (const piece of rest) await this.#handle(piece.type, piece.bytes);
  }

  #handle(type: number, bytes: Uint8Array): Promise<void> | undefined {
    switch (type) {
      case frameType.stdout:
        return (this.#stdout ??= pieceWriter(1)).write(bytes);
      case frameType.stderr:
        return (this.#stderr ??= pieceWriter(2)).write(bytes);
      case frameType.created:
        return this.#onCreated(parseCreatedFrame(bytes));
      case frameType.error:
        throw parseErrorFrame(bytes);
      case frameType.exit:
        this.#result.resolve({ exitCode: parseExitFrame(bytes), detached: false });
        return undefined;
      default:
        // A frame of a newer engine that an older client need not know.
        return undefined;
    }
  }

  #onCreated(created: Created): Promise<void> | undefined {
    const told = this.#request.onCreated?.(created);
    const go = (): void => {
      if (this.#request.detach) this.#result.resolve({ exitCode: 0, detached: false });
      else if (this.#request.tty)
        void this.#joinTerminal().catch((error: unknown) => this.#result.reject(error));
      else if (this.#request.stdin)
        void this.#pumpStdin().catch((error: unknown) => this.#result.reject(error));
    };
    if (told instanceof Promise) return told.then(go);
    go();
    return undefined;
  }

  async #pumpStdin(): Promise<void> {
    const reader = Bun.stdin.stream().getReader();
    this.#cleanups.push(() => void reader.cancel().catch(() => undefined));
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      await this.#sendStdin(value);
    }
    await this.#channel?.write(encodeFrame(frameType.stdin, new Uint8Array()));
  }

  async #sendStdin(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += longestPiece) {
      await this.#channel?.write(encodeFrame(frameType.stdin, bytes.subarray(at, at + longestPiece)));
    }
  }

  /** Raw keyboard (with -i), window size, detach keys. */
  async #joinTerminal(): Promise<void> {
    const { isTerminal, RawKeyboard, terminalSize } = await import("./terminal.ts");
    const resize = (): void => {
      const size = terminalSize();
      if (size !== undefined) void this.#channel?.write(encodeResize(size.rows, size.columns));
    };
    process.on("SIGWINCH", resize);
    this.#cleanups.push(() => void process.off("SIGWINCH", resize));
    if (!this.#request.stdin) return;
    if (!isTerminal(0)) return this.#pumpStdin();
    const keyboard = new RawKeyboard(!this.#request.sigProxy);
    this.#cleanups.push(() => keyboard[Symbol.dispose]());
    const { DetachScanner } = await import("./detach-keys.ts");
    const scanner = new DetachScanner(this.#request.detachKeys);
    for await (const typed of keyboard.keys()) {
      const { pass, detached } = scanner.push(typed);
      if (pass.length > 0) await this.#sendStdin(pass);
      if (detached) {
        this.#result.resolve({ exitCode: 0, detached: true });
        return;
      }
    }
    await this.#channel?.write(encodeFrame(frameType.stdin, new Uint8Array()));
  }
}
