/** A progress line on a terminal, rewritten in place; nothing at all elsewhere. */
import { humanSize } from "./format/human.ts";
import { printError } from "./output.ts";

const frameMs = 100;
const barWidth = 30;

/** `[=========>      ] 12.3MB/45MB`, or the amount alone when the whole is not known. Pure. */
export function progressBar(done: number, total: number | undefined): string {
  if (total === undefined || total <= 0) return humanSize(done, 3);
  const filled = Math.min(barWidth, Math.floor((done / total) * barWidth));
  const bar = filled === barWidth ? "=".repeat(barWidth) : `${"=".repeat(filled)}>`.padEnd(barWidth);
  return `[${bar}] ${humanSize(done, 3)}/${humanSize(total, 3)}`;
}

export class ProgressLine {
  readonly #label: string;
  readonly #enabled: boolean;
  #last = 0;
  #shown = false;

  /** @param enabled stderr is a terminal */
  constructor(label: string, enabled: boolean) {
    this.#label = label;
    this.#enabled = enabled;
  }

  /** Shows how far the work is; at most ten times a second. */
  update(done: number, total: number | undefined): void {
    const now = performance.now();
    if (!this.#enabled || now - this.#last < frameMs) return;
    this.#last = now;
    this.#shown = true;
    void printError(`\r\x1b[2K${this.#label}  ${progressBar(done, total)}`);
  }

  /** Removes the line. */
  async clear(): Promise<void> {
    if (this.#shown) await printError("\r\x1b[2K");
    this.#shown = false;
  }
}

/** True when stderr is a terminal. */
export async function stderrIsTerminal(): Promise<boolean> {
  const { isatty } = await import("node:tty");
  return isatty(2);
}

/** Passes a stream on and counts it. */
export function counted(
  stream: ReadableStream<Uint8Array>,
  onCount: (bytes: number) => void,
): ReadableStream<Uint8Array> {
  let bytes = 0;
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        bytes += piece.length;
        onCount(bytes);
        controller.enqueue(piece);
      },
    }),
  );
}
