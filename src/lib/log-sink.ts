/**
 * Lines into a file that may be full: never an exception, never a wait. Lines that found no room are counted, and told of by one
 * line when there is room again.
 */
import { fstatSync, writeSync } from "node:fs";
import { messageOf } from "./errors.ts";

export interface LineWriterOptions {
  /** Writes what it can. @returns bytes; throws when there is no room */
  readonly write: (bytes: Uint8Array) => number;
  /** The line that stands for those that were lost. */
  readonly lostLine: (lost: number) => string;
  /** Told once, when lines begin to be lost. */
  readonly onLoss?: (reason: string) => void;
}

const maxWaitingChars = 1 << 20;

export class LineWriter {
  readonly #options: LineWriterOptions;
  #lost = 0;
  /** The last line is cut short in the file. */
  #isCut = false;

  constructor(options: LineWriterOptions) {
    this.#options = options;
  }

  /** @param line ends with a newline */
  write(line: string): boolean {
    const { lostLine, onLoss } = this.#options;
    const before = `${this.#isCut ? "\n" : ""}${this.#lost > 0 ? lostLine(this.#lost) : ""}`;
    const reason = this.#try(Buffer.from(before + line));
    if (reason === undefined) {
      this.#lost = 0;
      return true;
    }
    this.#lost += 1;
    if (this.#lost === 1) onLoss?.(reason);
    return false;
  }

  /** @returns why not all of it has been written */
  #try(bytes: Uint8Array): string | undefined {
    let at = 0;
    try {
      while (at < bytes.length) {
        const written = this.#options.write(bytes.subarray(at));
        if (written <= 0) throw new Error("nothing more is taken");
        at += written;
      }
      this.#isCut = false;
      return undefined;
    } catch (error) {
      if (at > 0) this.#isCut = true;
      return messageOf(error);
    }
  }
}

/** A file is written at once; whatever else stderr is, Bun's stream takes the line. */
export const stderrSink: (line: string) => void = ((): ((line: string) => void) => {
  let sink: ((line: string) => void) | undefined;
  return (line) => {
    sink ??= openStderr();
    sink(line);
  };
})();

function openStderr(): (line: string) => void {
  if (!isFile(2)) return boundedStream(process.stderr);
  const writer = new LineWriter({ write: (bytes) => writeSync(2, bytes), lostLine });
  return (line) => void writer.write(line);
}

interface LineStream {
  write(line: string, done: () => void): unknown;
  on(event: "error", listener: () => void): unknown;
}

/** Lines to somebody who reads: one that has stopped costs this many bytes and then lines, one that has gone costs lines. */
export function boundedStream(stream: LineStream): (line: string) => void {
  // Without a listener it would be an error of the process.
  stream.on("error", () => undefined);
  let waiting = 0;
  let lost = 0;
  return (line) => {
    if (waiting > maxWaitingChars) {
      lost += 1;
      return;
    }
    const text = lost === 0 ? line : lostLine(lost) + line;
    lost = 0;
    waiting += text.length;
    stream.write(text, () => {
      waiting -= text.length;
    });
  };
}

function lostLine(lines: number): string {
  return `${JSON.stringify({ time: new Date().toISOString(), level: "error", event: "log.lost", lines })}\n`;
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false;
  }
}
