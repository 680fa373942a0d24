/** The control connection to a monitor: what happened to its process, and what it shall do. */
import { GantryError } from "../lib/index.ts";
import type { Channel } from "./channel.ts";
import { withDeadline } from "./deadline.ts";
import { errnoName, errnoWords } from "./errno-words.ts";
import {
  encodeFrame,
  type Exited,
  type Failed,
  type Frame,
  frameType,
  resizeFrame,
  signalFrame,
  type Started,
} from "./frames.ts";

const signalDeadlineMs = 10_000;

export interface MonitorConnection {
  /** Undefined when the process has ended before this connection was made. */
  readonly started: Started | undefined;
  /** Undefined: the monitor vanished without saying how the process ended. Never rejects. */
  readonly exited: Promise<Exited | undefined>;
  /**
   * Sends a signal to the process by its pidfd.
   * @throws {GantryError} "not-found" when it has ended, "unavailable" when the monitor is gone, "timeout" after 10 s
   */
  signal(signal: number): Promise<void>;
  resize(rows: number, cols: number): void;
  closeStdin(): void;
  reopenLog(): void;
  /** Closes this connection; the process goes on. */
  close(): void;
}

/** First word of a monitor on a control connection. */
export type FirstWord =
  | { readonly kind: "started"; readonly started: Started }
  | { readonly kind: "exited"; readonly exited: Exited }
  | { readonly kind: "failed"; readonly failed: Failed }
  | { readonly kind: "gone"; readonly error: GantryError | undefined };

export class Control implements MonitorConnection {
  readonly #channel: Channel;
  readonly #first = Promise.withResolvers<FirstWord>();
  readonly #exited = Promise.withResolvers<Exited | undefined>();
  #signals: ((errno: number | undefined) => void)[] = [];
  started: Started | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.start({
      onFrame: (frame) => this.#take(frame),
      onClose: (error) => this.#gone(error),
    });
  }

  get first(): Promise<FirstWord> {
    return this.#first.promise;
  }

  get exited(): Promise<Exited | undefined> {
    return this.#exited.promise;
  }

  async signal(signal: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    this.#signals.push(resolve);
    // A refused write means the channel has closed, and then `promise` is settled too.
    await this.#channel.write(signalFrame(signal)).catch(() => resolve(undefined));
    const late = (): GantryError =>
      new GantryError(
        "timeout",
        `the monitor did not confirm signal ${signal} within ${signalDeadlineMs / 1000} s`,
      );
    const errno = await withDeadline(promise, signalDeadlineMs, late);
    if (errno === undefined) throw new GantryError("unavailable", "the container's monitor is gone");
    if (errno === 0) return;
    const code = errnoName(errno) === "ESRCH" ? "not-found" : "internal";
    throw new GantryError(code, `send signal ${signal}: ${errnoWords(errno)}`, {
      fields: { errno: errnoName(errno) },
    });
  }

  resize(rows: number, cols: number): void {
    this.#tell(resizeFrame(rows, cols));
  }

  closeStdin(): void {
    this.#tell(encodeFrame(frameType.closeStdin));
  }

  reopenLog(): void {
    this.#tell(encodeFrame(frameType.reopenLog));
  }

  close(): void {
    this.#channel.close();
  }

  #tell(frame: Uint8Array): void {
    // "unavailable": the monitor is gone, which `exited` tells.
    this.#channel.write(frame).catch(() => {});
  }

  #take(frame: Frame): undefined {
    switch (frame.type) {
      case "started":
        this.started = frame.started;
        this.#first.resolve({ kind: "started", started: frame.started });
        return;
      case "failed":
        this.#first.resolve({ kind: "failed", failed: frame.failed });
        return;
      case "exited":
        this.#first.resolve({ kind: "exited", exited: frame.exited });
        this.#exited.resolve(frame.exited);
        return;
      case "signal-result":
        this.#signals.shift()?.(frame.errno);
        return;
      case "error":
        this.#gone(new GantryError("internal", `the monitor closed the connection: ${frame.message}`));
        return;
      case "output":
        return;
      default:
        return unreachable(frame);
    }
  }

  #gone(error: GantryError | undefined): void {
    this.#first.resolve({ kind: "gone", error });
    this.#exited.resolve(undefined);
    for (const answer of this.#signals.splice(0)) answer(undefined);
  }
}

function unreachable(frame: never): never {
  throw new GantryError("internal", `a frame of unknown type: ${JSON.stringify(frame)}`);
}
