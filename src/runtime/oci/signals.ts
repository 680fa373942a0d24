/** Signal names as runc takes them. Pure. */
import { GantryError } from "../../lib/index.ts";

/** x86-64 and arm64; the names in the order of their numbers, 1 to 31, and then the second names. */
const names: readonly string[] = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ " +
  "VTALRM PROF WINCH IO PWR SYS"
).split(" ");

const alias: Readonly<Record<string, number>> = { IOT: 6, CLD: 17, POLL: 29 };

/** Real-time signals as the C library shows them to programs. */
const firstRealTime = 34;
const lastRealTime = 64;

/** `9`, `KILL`, `SIGKILL`, `sigkill`, `SIGRTMIN+3` → 9. @throws {GantryError} "invalid" */
export function parseSignal(word: string): number {
  const number = /^[0-9]+$/.test(word) ? Number(word) : signalNumber(word.toUpperCase().replace(/^SIG/, ""));
  if (number === undefined || number > lastRealTime)
    throw new GantryError("invalid", `unknown signal ${JSON.stringify(word)}`);
  return number;
}

/** From the name without `SIG`. */
function signalNumber(name: string): number | undefined {
  const at = names.indexOf(name);
  if (at >= 0) return at + 1;
  const realTime = /^RTM(IN|AX)(?:([+-])([0-9]{1,2}))?$/.exec(name);
  if (realTime === null) return alias[name];
  const offset = Number(realTime[3] ?? 0) * (realTime[2] === "-" ? -1 : 1);
  const number = (realTime[1] === "IN" ? firstRealTime : lastRealTime) + offset;
  return number >= firstRealTime && number <= lastRealTime ? number : undefined;
}

export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGKILL = 9;
export const SIGCHLD = 17;
export const SIGPIPE = 13;
export const SIGURG = 23;
export const SIGWINCH = 28;
