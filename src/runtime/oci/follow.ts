/** Waits for the end of a process that gantry-init runs for us, and passes signals on meanwhile. */
import { fstatSync } from "node:fs";
import { GantryError, isErrno } from "../../lib/index.ts";
import type { Running } from "./launch.ts";

const passed: readonly NodeJS.Signals[] = [
  "SIGTERM",
  "SIGHUP",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGCONT",
  "SIGWINCH",
];
/** A terminal sends these to the whole foreground group, and so to gantry-init as well: passing them on would double them. */
const fromTerminal: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];

/** Catches signals from its making on, and passes them on as soon as it is known to whom. */
export class SignalForwarder implements Disposable {
  #pid: number | undefined;
  readonly #early: NodeJS.Signals[] = [];
  readonly #doubled = isTerminal(0);
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (this.#doubled && fromTerminal.includes(signal)) return;
    if (this.#pid === undefined) this.#early.push(signal);
    else passOn(this.#pid, signal);
  };

  constructor() {
    for (const signal of [...passed, ...fromTerminal]) process.on(signal, this.#onSignal);
  }

  to(pid: number): void {
    this.#pid = pid;
    for (const signal of this.#early.splice(0)) passOn(pid, signal);
  }

  [Symbol.dispose](): void {
    for (const signal of [...passed, ...fromTerminal]) process.off(signal, this.#onSignal);
  }
}

/**
 * Resolves with the exit code, 128 + signal when it was killed.
 * @throws {GantryError} "unavailable" when gantry-init vanished
 */
export async function followToEnd({ control }: Running): Promise<number> {
  const exited = await control.exited;
  control.close();
  if (exited !== undefined) return exited.exitCode;
  throw new GantryError("unavailable", "gantry-init ended without saying how the container ended");
}

/** Major numbers of terminal devices: virtual consoles, /dev/tty and its kin, pseudo terminals (devices.txt of Linux). */
const isTerminalMajor = (major: number): boolean =>
  major === 4 || major === 5 || (major >= 136 && major <= 143);

/** As isatty(3), by the device's number: `process.stdin` would load node's streams, which takes 5 ms. */
function isTerminal(fd: number): boolean {
  try {
    const status = fstatSync(fd);
    return status.isCharacterDevice() && isTerminalMajor((status.rdev >> 8) & 0xfff);
  } catch (error) {
    if (isErrno(error, "EBADF")) return false;
    throw error;
  }
}

function passOn(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it has just ended; its last word is on the way.
    if (!isErrno(error, "ESRCH")) throw error;
  }
}
