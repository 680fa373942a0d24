/** Waits for the end of a process that gantry-init runs for us, and passes signals on meanwhile. */
import { GantryError, isErrno } from "../../lib/index.ts";
import type { Running } from "./launch.ts";

const passed = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCONT", "SIGWINCH"] as const;
/** A terminal sends these to the whole foreground group, and so to gantry-init as well: passing them on would double them. */
const fromTerminal = ["SIGINT", "SIGQUIT"] as const;

/**
 * Resolves with the exit code, 128 + signal when it was killed.
 * @throws {GantryError} "unavailable" when gantry-init vanished
 */
export async function followToEnd({ control, runnerPid }: Running): Promise<number> {
  const forward = (signal: NodeJS.Signals): void => passOn(runnerPid, signal);
  const ignore = (): void => {};
  const doubled = process.stdin.isTTY === true;
  for (const signal of passed) process.on(signal, forward);
  for (const signal of fromTerminal) process.on(signal, doubled ? ignore : forward);
  const exited = await control.exited;
  for (const signal of passed) process.off(signal, forward);
  for (const signal of fromTerminal) process.off(signal, doubled ? ignore : forward);
  control.close();
  if (exited === undefined)
    throw new GantryError("unavailable", "gantry-init ended without saying how the container ended");
  return exited.exitCode;
}

function passOn(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it has just ended; its last word is on the way.
    if (!isErrno(error, "ESRCH")) throw error;
  }
}
