/** Errors of a step, told with the step they belong to. */
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";

export interface StepPlace {
  /** From 1. */
  readonly number: number;
  readonly total: number;
  readonly text: string;
  /** Line of the Dockerfile. */
  readonly line: number;
}

const maxText = 200;

function isDiskFull(error: unknown): boolean {
  if (isErrno(error, "ENOSPC", "EDQUOT")) return true;
  if (!(error instanceof Error)) return false;
  if (/no space left|ENOSPC|EDQUOT|quota exceeded/i.test(error.message)) return true;
  return error.cause !== undefined && isDiskFull(error.cause);
}

/**
 * The same error with the step's number and line as fields. A full disk is said as such whoever noticed it, with the step.
 * A build that was canceled is "canceled" whatever broke because of it.
 */
export function stepError(error: unknown, place: StepPlace, signal: AbortSignal): GantryError {
  const known = toGantryError(error);
  const fields = { ...known.fields, step: `${place.number}/${place.total}`, line: place.line };
  if (signal.aborted) return canceled(signal, fields);
  const text = place.text.length > maxText ? `${place.text.slice(0, maxText)}…` : place.text;
  if (isDiskFull(error) && known.fields["exitCode"] === undefined) {
    const message = `no space left on device in step ${place.number}/${place.total} : ${text}`;
    return new GantryError("exhausted", message, {
      cause: error,
      fields,
      hint: "free disk space, for example with: gantry system prune",
    });
  }
  return new GantryError(known.code, known.message, {
    cause: error,
    fields,
    ...(known.hint === undefined ? {} : { hint: known.hint }),
  });
}

/** What the caller's abort reason says, as an error of ours. */
export function canceled(signal: AbortSignal, fields: GantryError["fields"] = {}): GantryError {
  const reason: unknown = signal.reason;
  if (reason instanceof GantryError)
    return new GantryError(reason.code, reason.message, { cause: reason, fields });
  return new GantryError("canceled", "build canceled", { cause: reason, fields });
}
