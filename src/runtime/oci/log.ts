/** Errors where runc's callers look for them: on stderr, and in the file of --log. */
import { appendFileSync } from "node:fs";
import { GantryError, messageOf } from "../../lib/index.ts";

export interface LogTarget {
  readonly prefix: string;
  readonly log: string | undefined;
  readonly json: boolean;
}

/** Prints an error and, with --log, appends a line to that file in logrus's text or JSON form. */
export async function reportError(error: unknown, target: LogTarget): Promise<void> {
  const message = `${target.prefix}${messageOf(error)}`;
  const hint = error instanceof GantryError && error.hint !== undefined ? `\nhint: ${error.hint}` : "";
  if (target.log !== undefined && target.log !== "") {
    try {
      appendFileSync(target.log, logLine(message, new Date(), target.json));
    } catch (failure) {
      await Bun.write(Bun.stderr, `cannot write the log ${target.log}: ${messageOf(failure)}\n`);
    }
  }
  await Bun.write(Bun.stderr, `${message}${hint}\n`);
}

/** One line as logrus writes it. Pure. */
export function logLine(message: string, at: Date, json: boolean): string {
  const time = at.toISOString().replace(/\.[0-9]+Z$/, "Z");
  if (json) return `${JSON.stringify({ level: "error", msg: message, time })}\n`;
  return `time=${JSON.stringify(time)} level=error msg=${JSON.stringify(message)}\n`;
}
