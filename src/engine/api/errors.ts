/** The one place where error codes become HTTP statuses and exit codes. */
import { type ErrorCode, type GantryError, toGantryError } from "../../lib/index.ts";

const statuses = {
  "not-found": 404,
  conflict: 409,
  "not-modified": 304,
  invalid: 400,
  denied: 403,
  exhausted: 507,
  unsupported: 501,
  unavailable: 503,
  corrupt: 400,
  timeout: 504,
  canceled: 499,
  "command-not-found": 400,
  "command-not-executable": 400,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

/** What `docker run` exits with when the container did not start. */
const exitCodes: Partial<Record<ErrorCode, number>> = { "command-not-found": 127, "command-not-executable": 126 };

export interface ErrorAnswer {
  readonly statusCode: number;
  readonly exitCode: number;
  readonly body: { readonly message: string; readonly hint?: string };
}

/** Renders anything thrown. Docker clients read `message`; ours prints `hint` too. */
export function renderError(thrown: unknown): ErrorAnswer {
  const error: GantryError = toGantryError(thrown);
  return {
    statusCode: statuses[error.code],
    exitCode: exitCodes[error.code] ?? 125,
    body: { message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) },
  };
}
