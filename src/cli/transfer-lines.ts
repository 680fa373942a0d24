/**
 * Progress of layers as docker shows it: on a terminal one line a layer, rewritten in place; elsewhere one line for each thing
 * that is new, without the steps in between.
 */
import type { Progress } from "./connection/json-stream.ts";
import { failureOf, jsonLines } from "./connection/json-stream.ts";
import { print, printError } from "./output.ts";
import { progressBar } from "./progress.ts";

/** What follows the lines of a transfer, for whoever wants it. */
export type TakeAux = (aux: unknown) => void;

export interface TransferView {
  readonly quiet: boolean;
  /** Lines may be rewritten. */
  readonly terminal: boolean;
  /** To stderr: stdout is for something else. */
  readonly toErrors?: boolean;
  readonly onAux?: TakeAux;
}

/** Prints a stream of messages to its end. @throws {CliError} for the failure in it */
export async function showTransfer(response: Response, view: TransferView): Promise<void> {
  const { quiet, terminal, toErrors = false, onAux } = view;
  const lines = terminal ? new LiveLines() : new PlainLines();
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
const stepsBetween = new Set(["Downloading", "Extracting", "Pushing"]);

export class PlainLines implements Lines {
  show({ id, status = "", stream }: Progress): string {
    if (stream !== undefined) return stream;
    if (status === "" || stepsBetween.has(status)) return "";
    return id === undefined ? `${status}\n` : `${id}: ${status}\n`;
  }
}

export class LiveLines implements Lines {
  /** Id to its line, counted from the first. */
  readonly #rows = new Map<string, number>();
  /** Lines below which nothing of this block stands. */
  #height = 0;

  show(message: Progress): string {
    const { id, stream } = message;
    if (stream !== undefined) return this.#below(stream);
    // A line without detail is no layer's: it stays where it is, and what comes starts a new block.
    if (id === undefined || message.progressDetail === undefined)
      return this.#below(`${id === undefined ? "" : `${id}: `}${message.status ?? ""}\n`);
    const text = `${id}: ${this.#text(message)}`;
    const row = this.#rows.get(id);
    if (row === undefined) {
      this.#rows.set(id, this.#height++);
      return `${text}\n`;
    }
    const up = this.#height - row;
    return `\x1b[${up}A\x1b[2K\r${text}\r\x1b[${up}B`;
  }

  #below(text: string): string {
    this.#rows.clear();
    this.#height = 0;
    return text;
  }

  #text({ status = "", progressDetail }: Progress): string {
    const { current, total } = progressDetail ?? {};
    return current === undefined ? status : `${status.padEnd(11)} ${progressBar(current, total)}`;
  }
}
