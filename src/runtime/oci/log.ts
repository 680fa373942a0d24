/** Errors where runc's callers look for them: on stderr, and in the file of --log. */
import { GantryError, messageOf } from "../../lib/index.ts";
import { O_APPEND, O_CREAT } from "./open-flags.ts";

export type LogLevel = "debug" | "info" | "warning" | "error";

export interface LogSettings {
  /** --log: lines are appended there; else they go to stderr. */
  readonly file: string | undefined;
  readonly json: boolean;
  readonly debug: boolean;
}

let settings: LogSettings = { file: undefined, json: false, debug: false };

/** Where lines go from now on. */
export function setLog(given: LogSettings): void {
  settings = given;
}

/** Prints an error, with its hint on a second line, and with --log appends it to that file in logrus's form. */
export function reportError(error: unknown, prefix: string): void {
  const message = `${prefix}${messageOf(error)}`;
  const hint = error instanceof GantryError && error.hint !== undefined ? error.hint : undefined;
  if (settings.file !== undefined) appendLine("error", message);
  if (settings.file === undefined && settings.json) writeError(logLine("error", message, host.now(), true));
  else writeError(`${message}\n${hint === undefined ? "" : `hint: ${hint}\n`}`);
}

/** A line for who looks closer, with --debug. */
export function debug(words: () => string): void {
  if (settings.debug) tell("debug", words());
}

/** What went wrong without making the command fail. */
export function warn(words: string): void {
  tell("warning", words);
}

function tell(level: LogLevel, message: string): void {
  if (settings.file === undefined) writeError(logLine(level, message, host.now(), settings.json));
  else appendLine(level, message);
}

function appendLine(level: LogLevel, message: string): void {
  const { file = "", json } = settings;
  try {
    host.writeFile(file, logLine(level, message, host.now(), json), O_CREAT | O_APPEND, 0o644);
  } catch (failure) {
    writeError(`cannot write the log ${file}: ${messageOf(failure)}\n`);
  }
}

function writeError(text: string): void {
  try {
    host.write(2, text);
  } catch {
    // EPIPE, EBADF: nobody hears us; the exit code still tells.
  }
}

/** One line as logrus writes it. Pure. */
export function logLine(level: LogLevel, message: string, atMs: number, json: boolean): string {
  const time = new Date(atMs).toISOString().replace(/\.[0-9]+Z$/, "Z");
  if (json) return `${JSON.stringify({ level, msg: message, time })}\n`;
  return `time=${JSON.stringify(time)} level=${level} msg=${quoted(message)}\n`;
}

/** logrus leaves words of plain letters without quotes. */
function quoted(text: string): string {
  return /^[\w./@^+-]+$/.test(text) ? text : JSON.stringify(text);
}
