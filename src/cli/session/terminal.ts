/** Our own terminal: its size, raw mode, and the way back on every path out of the program. */
import { isatty, ReadStream, WriteStream } from "node:tty";

import { loadSys } from "../../kernel/index.ts";

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

export function isTerminal(fd: 0 | 1 | 2): boolean {
  return isatty(fd);
}

/** In node's and Bun's streams, but not in their types: asks the terminal again. */
type Refreshing = WriteStream & { _refreshSize?(): void };

const writers = new Map<1 | 2, Refreshing>();

/** The size of the terminal that stdout (1) or stderr (2) is; undefined when it is none, or one that has no size. */
export function terminalSize(fd: 1 | 2 = 1): Size | undefined {
  if (!isatty(fd)) return undefined;
  const writer: Refreshing = writers.get(fd) ?? new WriteStream(fd);
  writers.set(fd, writer);
  writer._refreshSize?.();
  const [columns, rows] = writer.getWindowSize();
  return columns > 0 && rows > 0 ? { rows, columns } : undefined;
}

/** Signals that would end us while the terminal is raw. */
const deadly = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

/**
 * The keyboard in raw mode, and output as it is: the container's terminal has put the carriage returns in already, and what
 * it sends without one (curses going straight down) is meant so. The stream's raw mode adds them. `dispose` gives the terminal back; so does every way the program can end but SIGKILL. */
export class RawKeyboard implements Disposable {
  readonly #stream = new ReadStream(0);
  readonly #restore = (): void => {
    this.#stream.setRawMode(false);
  };

  /** @param guardSignals take signals that would end us; false when they are passed to the container */
  constructor(guardSignals: boolean) {
    this.#stream.setRawMode(true);
    loadSys().passOutput(0);
    process.on("exit", this.#restore);
    if (!guardSignals) return;
    for (const [name, number] of Object.entries(deadly)) {
      process.on(name, () => {
        this.#restore();
        process.exit(128 + number);
      });
    }
  }

  /** What is typed, until `dispose`. */
  keys(): AsyncIterable<Uint8Array> {
    return this.#stream;
  }

  [Symbol.dispose](): void {
    this.#restore();
    process.off("exit", this.#restore);
    this.#stream.destroy();
  }
}
