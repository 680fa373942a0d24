/**
 * Progress of layers as docker shows it: on a terminal one line a layer, rewritten in place; elsewhere one line for each thing
 * that is new, without the steps in between.
 */
import type { Progress } from "./connection/json-stream.ts";
import { failureOf, jsonLines } from "./connection/json-stream.ts";
import { print, printError } from "./output.ts";
import { progressBar } from "./progress.ts";
import { isTerminal, type Size, terminalSize } from "./session/terminal.ts";

/** What follows the lines of a transfer, for whoever wants it. */
export type TakeAux = (aux: unknown) => void;

export interface TransferView {
  readonly quiet: boolean;
  /** To stderr: stdout is for something else. */
  readonly toErrors?: boolean;
  readonly onAux?: TakeAux;
}

/** Prints a stream of messages to its end. @throws {CliError} for the failure in it */
export async function showTransfer(response: Response, view: TransferView): Promise<void> {
  const { quiet, toErrors = false, onAux } = view;
  const lines = linesFor(toErrors ? 2 : 1);
  for await (const message of jsonLines(response)) {
    const failure = failureOf(message);
    if (failure !== undefined) throw failure;
    if (message.aux !== undefined) onAux?.(message.aux);
    else if (!quiet) await (toErrors ? printError : print)(lines.show(message));
  }
}

interface Lines {
  /** What is to be written for a message. */
  show(message: Progress): string;
}

/** Also the word that docker's client leaves out where nobody watches. */
const stepsBetween = new Set(["Downloading", "Extracting", "Pushing", "Copying"]);

export class PlainLines implements Lines {
  show({ id, status = "", stream }: Progress): string {
    if (stream !== undefined) return stream;
    if (status === "" || stepsBetween.has(status)) return "";
    return id === undefined ? `${status}\n` : `${id}: ${status}\n`;
  }
}

/** A line that will not change any more. */
const isDone = ({ status = "" }: Progress): boolean =>
  /^(?:Pull complete|Already|Pushed|Layer already|Mounted|Copied)/.test(status);

interface Row {
  readonly id: string;
  done: boolean;
}

/**
 * One line a layer, rewritten where it stands. What has left the screen at its top cannot be: a new line is written only
 * when the one that it pushes out is done, and until then its layer waits for a place.
 */
export class LiveLines implements Lines {
  readonly #size: () => Size;
  /** The lines of this block, from its top. */
  readonly #rows: Row[] = [];
  /** Layers without a line as yet, with what was said of them last. */
  readonly #waiting = new Map<string, Progress>();

  /** @param size of the terminal, now: it changes */
  constructor(size: () => Size = () => boundless) {
    this.#size = size;
  }

  show(message: Progress): string {
    const { id, stream } = message;
    if (stream !== undefined) return this.#below(stream);
    // A line without detail is no layer's: it stays where it is, and what comes starts a new block.
    if (id === undefined || message.progressDetail === undefined)
      return this.#below(`${id === undefined ? "" : `${id}: `}${message.status ?? ""}\n`);
    const at = this.#rows.findIndex((row) => row.id === id);
    if (at < 0) {
      this.#waiting.set(id, message);
      return this.#fill();
    }
    return this.#rewrite(at, message) + this.#fill();
  }

  #rewrite(at: number, message: Progress): string {
    const row = this.#rows[at];
    const up = this.#rows.length - at;
    if (row !== undefined) row.done = isDone(message);
    // Out of reach: the terminal has become smaller.
    if (up >= this.#size().rows) return "";
    return `\x1b[${up}A\x1b[2K\r${this.#text(message)}\r\x1b[${up}B`;
  }

  /** Lines for layers that wait, as far as there is room. */
  #fill(): string {
    let text = "";
    for (const [id, message] of this.#waiting) {
      // The cursor's line is one of the screen's.
      const leaving = this.#rows[this.#rows.length - (this.#size().rows - 1)];
      if (leaving?.done === false) break;
      this.#waiting.delete(id);
      text += this.#append(id, message);
    }
    return text;
  }

  #append(id: string, message: Progress): string {
    this.#rows.push({ id, done: isDone(message) });
    return `${this.#text(message)}\n`;
  }

  /** Ends the block: who still waits has its line now. */
  #below(text: string): string {
    let rest = "";
    for (const [id, message] of this.#waiting) rest += this.#append(id, message);
    this.#waiting.clear();
    this.#rows.length = 0;
    return rest + text;
  }

  /** Never wider than the terminal: a line that wraps would be two. */
  #text({ id = "", status = "", progressDetail }: Progress): string {
    const { current, total } = progressDetail ?? {};
    const shown = current === undefined ? status : `${status.padEnd(11)} ${progressBar(current, total)}`;
    return `${id}: ${shown}`.slice(0, Math.max(1, this.#size().columns - 1));
  }
}

const boundless: Size = { rows: Number.POSITIVE_INFINITY, columns: Number.POSITIVE_INFINITY };

/** Lines for stdout (1) or stderr (2): live ones on a terminal that can move its cursor. */
export function linesFor(fd: 1 | 2): Lines {
  if (!isTerminal(fd) || process.env["TERM"] === "dumb") return new PlainLines();
  return new LiveLines(() => terminalSize(fd) ?? boundless);
}
