/** An exec that could not be started, in docker's words. Pure. */
import { type ErrorCode, GantryError, toGantryError } from "../../lib/index.ts";

const exitCodes: Partial<Record<ErrorCode, number>> = {
  "command-not-found": 127,
  "command-not-executable": 126,
};

/** 126 also for anything else that kept the container's runtime from starting it, as docker has it. */
export function failedExitCode(error: unknown): number {
  return exitCodes[toGantryError(error).code] ?? 126;
}

/** Clients look for these words: `exec failed: … executable file not found in $PATH`. */
export function execFailure(error: unknown): GantryError {
  const { code, message, hint, fields } = toGantryError(error);
  const detail = message.slice(Math.max(0, message.search(/exec:? /)));
  return new GantryError(
    code,
    `OCI runtime exec failed: exec failed: unable to start container process: ${detail}`,
    {
      cause: error,
      fields,
      ...(hint === undefined ? {} : { hint }),
    },
  );
}
