/** A client's stdin, stdout and stderr on a process of a monitor. */
import { GantryError } from "../lib/index.ts";
import type { Channel } from "./channel.ts";
import { encodeFrame, type Exited, frameType, maxFrameBytes, resizeFrame } from "./frames.ts";

export interface AttachHandlers {
  /** Output in order; while the returned promise is pending nothing more is read (the container waits in the end). */
  onOutput(stream: 1 | 2, bytes: Uint8Array): Promise<void> | undefined;
  /** Called once, after the last output. Undefined: the monitor went without saying how the process ended. */
  onEnd(exited: Exited | undefined): void;
}

export interface AttachSession {
  /** Begins to deliver output; nothing is lost before. Called once. */
  begin(handlers: AttachHandlers): void;
  /**
   * Writes to the process's stdin; resolves when taken.
   * @throws {GantryError} "unavailable" when the session has ended
   */
  write(bytes: Uint8Array): Promise<void>;
  endStdin(): void;
  resize(rows: number, cols: number): void;
  /** Detaches; the process goes on. */
  close(): void;
}

export class Attached implements AttachSession {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  begin(handlers: AttachHandlers): void {
    let exited: Exited | undefined;
    this.#channel.start({
      onFrame: (frame) => {
        if (frame.type === "output") return handlers.onOutput(frame.stream, frame.bytes);
        if (frame.type === "exited") exited = frame.exited;
        return undefined;
      },
      onClose: () => handlers.onEnd(exited),
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += maxFrameBytes)
      await this.#channel.write(encodeFrame(frameType.stdin, bytes.subarray(at, at + maxFrameBytes)));
  }

  endStdin(): void {
    this.#tell(encodeFrame(frameType.stdin));
  }

  resize(rows: number, cols: number): void {
    this.#tell(resizeFrame(rows, cols));
  }

  close(): void {
    this.#channel.close();
  }

  #tell(frame: Uint8Array): void {
    // "unavailable": the session has ended, which onEnd tells.
    this.#channel.write(frame).catch((error: unknown) => {
      if (!(error instanceof GantryError)) throw error;
    });
  }
}
