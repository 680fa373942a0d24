/** Waits for the end of a process that gantry-init runs for us, and passes signals on meanwhile. */
import { GantryError, isErrno } from "../../lib/index.ts";
import { tryReadText } from "./host-cgroups.ts";
import type { Running } from "./launch.ts";
import { SIGCHLD, SIGINT, SIGPIPE, SIGQUIT, SIGURG, SIGWINCH } from "./signals.ts";

/** Not passed on: those that cannot be caught (9, 19), and the faults, which a process causes itself (4, 5, 7, 8, 11). */
const kept = new Set([4, 5, 7, 8, 9, 11, 19, SIGPIPE, SIGURG]);

/** Catches signals from its making on, and passes them on as soon as it is known to whom. */
export class SignalForwarder {
  readonly fd: number;
  readonly #doubled = host.isTerminal(0);

  constructor() {
    const all = Array.from({ length: 31 }, (_, index) => index + 1).filter((signal) => !kept.has(signal));
    this.fd = host.signalFd(all);
  }

  /** Passes what has come on to gantry-init, which passes it on to the container. SIGWINCH is for `onResize` where there is one. */
  passOn(pid: number, onResize?: () => void): void {
    for (let signal = host.nextSignal(this.fd); signal !== 0; signal = host.nextSignal(this.fd)) {
      if (signal === SIGCHLD) {
        reapAdopted(pid);
        continue;
      }
      if (signal === SIGWINCH && onResize !== undefined) {
        onResize();
        continue;
      }
      // A terminal sends these to the whole foreground group, and so to gantry-init as well: passing them on would double them.
      if (this.#doubled && onResize === undefined && (signal === SIGINT || signal === SIGQUIT)) continue;
      send(pid, signal);
    }
  }
}

/** Something else to look at while waiting. */
export interface Watcher {
  readonly fd: number;
  /** Called when `fd` is readable; false: not any more. */
  take(): boolean;
}

/**
 * The exit code, 128 + signal when it was killed.
 * @throws {GantryError} "unavailable" when gantry-init vanished
 */
export function followToEnd(
  { control, frames, runnerPid }: Running,
  signals: SignalForwarder,
  others: readonly Watcher[] = [],
): number {
  const watchers = [...others];
  for (;;) {
    const ready = host.poll([control, signals.fd, ...watchers.map(({ fd }) => fd)], -1);
    if (ready.includes(1)) signals.passOn(runnerPid);
    for (const index of [...ready].reverse())
      if (index > 1 && watchers[index - 2]?.take() === false) watchers.splice(index - 2, 1);
    if (ready.includes(0)) {
      const frame = frames.next(0);
      if (frame === "end") throw vanished();
      if (frame !== "late" && frame.type === "exited") return frame.exited.exitCode;
    }
  }
}

/** gantry-init was killed: nobody knows how the container ended, and whether it has. */
export function vanished(): GantryError {
  return new GantryError("unavailable", "gantry-init ended without saying how the container ended", {
    hint: "something killed it; what it ran was killed, too",
  });
}

/** Processes of a container without a pid namespace whose parent has ended become ours (host.becomeSubreaper). */
function reapAdopted(runnerPid: number): void {
  const children = tryReadText(`/proc/self/task/${host.pid()}/children`) ?? "";
  for (const word of children.split(" ")) {
    const pid = Number(word);
    if (pid > 0 && pid !== runnerPid) host.waitPid(pid, 0);
  }
}

function send(pid: number, signal: number): void {
  try {
    host.kill(pid, signal);
  } catch (error) {
    // ESRCH: it has just ended; its last word is on the way.
    if (!isErrno(error, "ESRCH")) throw error;
  }
}
