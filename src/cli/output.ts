/** Writing to stdout and stderr. `process.stdout` is avoided: it alone costs 10 ms of start-up. */
import { BrokenPipeError, hasErrno } from "./errors.ts";

/** Bun's writes that overlap cut a file off behind the first of them (1.4.5): each waits for the one before it. */
const last = { stdout: Promise.resolve<unknown>(undefined), stderr: Promise.resolve<unknown>(undefined) };

function inTurn(stream: keyof typeof last, work: () => Promise<unknown>): Promise<unknown> {
  const turn = last[stream].then(work, work);
  last[stream] = turn;
  return turn;
}

/** Writes all of `text` to stdout. @throws {BrokenPipeError} when the reader has gone */
export async function print(text: string | Uint8Array): Promise<void> {
  await inTurn("stdout", () => writeAll(Bun.stdout, text));
}

/** Writes one line to stderr; a closed stderr is no error. */
export async function printError(text: string): Promise<void> {
  // Bun.write of nothing cuts a file off at its beginning (1.4.5).
  if (text === "") return;
  await inTurn("stderr", () => Bun.write(Bun.stderr, text)).catch(() => {
    // Nobody is left to tell.
  });
}

async function writeAll(file: Bun.BunFile, text: string | Uint8Array): Promise<void> {
  // See printError.
  if (text.length === 0) return;
  try {
    await Bun.write(file, text);
  } catch (error) {
    if (hasErrno(error, "EPIPE")) throw new BrokenPipeError();
    throw error;
  }
}

/** A sink for many pieces: `write` resolves when the piece has left, so that a slow reader slows the producer. */
export interface PieceWriter {
  write(piece: Uint8Array): Promise<void> | undefined;
}

/** Writes pieces to stdout (1) or stderr (2) without holding more than one of them. */
export function pieceWriter(fd: 1 | 2): PieceWriter {
  const sink = (fd === 1 ? Bun.stdout : Bun.stderr).writer();
  return {
    write(piece) {
      try {
        sink.write(piece);
        const flushed = sink.flush();
        if (typeof flushed === "number") return undefined;
        return Promise.resolve(flushed).then(() => undefined, mapBroken);
      } catch (error) {
        return mapBroken(error);
      }
    },
  };
}

function mapBroken(error: unknown): never {
  if (hasErrno(error, "EPIPE")) throw new BrokenPipeError();
  throw error;
}
