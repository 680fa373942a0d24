/**
 * The sessions of our own client: one connection and one round trip for a container or an exec. The client sends a RUN
 * frame behind its request; the answer is CREATED, output, EXIT, or an ERROR anywhere before it.
 */
import type { Duplex } from "node:stream";
import { GantryError, toGantryError } from "../../lib/index.ts";
import type { AttachSession, AttachStreams } from "../../runtime/index.ts";
import { renderError } from "./errors.ts";
import { type ClientFrame, ClientFrames, frameType } from "./frames.ts";
import { endConnection, frame } from "./hijack.ts";
import { Fields } from "./json-fields.ts";
import { writeTo } from "./output.ts";
import { terminalSide } from "./parse-exec.ts";
import { switchHead } from "./server.ts";

/** A client that has said nothing after this long is let go. */
const runDeadlineMs = 30_000;

/** What the RUN frame says, whatever is to be run. */
export interface RunFrame {
  readonly name: string;
  readonly detach: boolean;
  readonly streams: AttachStreams;
  readonly rows: number;
  readonly cols: number;
  readonly body: unknown;
}

/** A program that was started for a client. */
export interface RunningProgram {
  readonly id: string;
  readonly warnings: readonly string[];
  readonly session?: AttachSession | undefined;
  readonly exited: Promise<{ readonly exitCode: number; readonly error?: string }>;
  /** Passes a signal on; absent where the client cannot send any. */
  readonly signal?: (number: number) => Promise<void>;
}

/** @throws {GantryError} "invalid" */
export function parseRunFrame(payload: Buffer): RunFrame {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString("utf8"));
  } catch (error) {
    throw new GantryError("invalid", "the client sent a RUN frame that is no JSON", { cause: error });
  }
  const fields = new Fields(value, "");
  return {
    name: fields.string("Name"),
    detach: fields.boolean("Detach"),
    streams: {
      stdin: fields.boolean("AttachStdin"),
      stdout: fields.boolean("AttachStdout"),
      stderr: fields.boolean("AttachStderr"),
    },
    rows: terminalSide(fields.raw("Rows")),
    cols: terminalSide(fields.raw("Cols")),
    body: fields.raw("Body"),
  };
}

export interface RunHandlers {
  /** Runs what the RUN frame asks for. */
  readonly start: (run: RunFrame) => Promise<RunningProgram>;
  /** Is told of every failure that the client is told of. */
  readonly onFailure: (error: GantryError) => void;
}

/** Serves one session. */
export function serveRun(socket: Duplex, head: Buffer, handlers: RunHandlers): Promise<void> {
  return new RunSession(socket, handlers).serve(head);
}

class RunSession {
  readonly #socket: Duplex;
  readonly #handlers: RunHandlers;
  readonly #frames = new ClientFrames();
  readonly #run = Promise.withResolvers<RunFrame>();
  /** Frames are handled one after the other; a container that does not read its stdin holds the client up. */
  #handling: Promise<void>;
  #program: RunningProgram | undefined;
  #started = Promise.withResolvers<void>();
  /** The switching head waits for the first frame, to go out with it. */
  #head: string;
  #asked = false;

  constructor(socket: Duplex, handlers: RunHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#head = switchHead(socket, "application/vnd.gantry.session");
    this.#handling = Promise.resolve();
  }

  async serve(head: Buffer): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new GantryError("timeout", "the client sent no RUN frame")),
      runDeadlineMs,
    );
    this.#socket.on("close", () => {
      reject(new GantryError("canceled", "the client went away"));
      this.#program?.session?.close();
      this.#started.resolve();
    });
    this.#socket.on("data", (bytes: Uint8Array) => this.#receive(bytes));
    if (head.length > 0) this.#receive(head);
    try {
      const run = await Promise.race([this.#run.promise, late]);
      clearTimeout(timer);
      await this.#serveProgram(run);
    } catch (thrown) {
      this.#fail(toGantryError(thrown));
    } finally {
      clearTimeout(timer);
      late.catch(() => undefined);
      this.#started.resolve();
    }
    endConnection(this.#socket);
  }

  async #serveProgram(run: RunFrame): Promise<void> {
    const program = await this.#handlers.start(run);
    this.#program = program;
    // Nobody may be left to hear of it.
    program.exited.catch(() => undefined);
    void this.#send(frameType.created, { Id: program.id, Warnings: program.warnings });
    this.#started.resolve();
    if (run.detach) return program.session?.close();
    if (this.#socket.destroyed) return program.session?.close();
    if (program.session !== undefined) await this.#joinOutput(program.session);
    if (this.#socket.destroyed) return;
    const { exitCode, error = "" } = await program.exited;
    void this.#send(frameType.exit, { StatusCode: exitCode, ...(error === "" ? {} : { Error: error }) });
  }

  #joinOutput(session: AttachSession): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.on("close", () => resolve());
    session.begin({
      onOutput: (stream, bytes) => writeTo(this.#socket, frame(stream, bytes)),
      onEnd: () => resolve(),
    });
    return promise;
  }

  #receive(bytes: Uint8Array): void {
    let frames: ClientFrame[];
    try {
      frames = this.#frames.push(bytes);
    } catch (error) {
      this.#run.reject(error);
      if (this.#asked) this.#fail(toGantryError(error));
      return;
    }
    if (frames.length === 0) return;
    if (!this.#asked) frames = this.#takeRun(frames);
    if (frames.length === 0) return;
    this.#socket.pause();
    this.#handling = this.#handling
      .then(() => this.#handleAll(frames))
      .then(
        () => void this.#socket.resume(),
        (error: unknown) => this.#fail(toGantryError(error)),
      );
  }

  /** Reads the RUN frame, which must be the first, and returns the others. */
  #takeRun([first, ...rest]: readonly ClientFrame[]): ClientFrame[] {
    this.#asked = true;
    try {
      if (first?.type !== frameType.run)
        throw new GantryError("invalid", "the client's first frame must be RUN");
      this.#run.resolve(parseRunFrame(first.payload));
    } catch (error) {
      this.#run.reject(error);
    }
    return rest;
  }

  async #handleAll(frames: readonly ClientFrame[]): Promise<void> {
    await this.#started.promise;
    for (const { type, payload } of frames) await this.#handle(type, payload);
  }

  async #handle(type: number, payload: Buffer): Promise<void> {
    const session = this.#program?.session;
    if (type === frameType.stdin) {
      if (payload.length === 0) session?.endStdin();
      else await session?.write(payload);
    } else if (type === frameType.resize && payload.length === 4) {
      session?.resize(payload.readUInt16LE(0), payload.readUInt16LE(2));
    } else if (type === frameType.signal && payload.length === 4) {
      // A program that has just ended takes no signal.
      await this.#program?.signal?.(payload.readUInt32LE(0)).catch(() => undefined);
    }
    // Frames of a newer client are none of our business.
  }

  #send(type: number, value: object): Promise<void> | undefined {
    const bytes = frame(type, Buffer.from(JSON.stringify(value)));
    const head = this.#head;
    this.#head = "";
    return writeTo(this.#socket, head === "" ? bytes : Buffer.concat([Buffer.from(head), bytes]));
  }

  #fail(error: GantryError): void {
    this.#handlers.onFailure(error);
    this.#program?.session?.close();
    const { body, exitCode, statusCode } = renderError(error);
    void this.#send(frameType.error, { ...body, exitCode, statusCode });
    endConnection(this.#socket);
  }
}
