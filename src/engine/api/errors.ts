/** The one place where error codes become HTTP statuses and exit codes. */
import { type ErrorCode, GantryError, toGantryError } from "../../lib/index.ts";

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
const exitCodes: Partial<Record<ErrorCode, number>> = {
  "command-not-found": 127,
  "command-not-executable": 126,
};

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
    exitCode: exitCodeOf(error),
    body: { message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) },
  };
}

function exitCodeOf({ code, fields }: GantryError): number {
  const told = fields["exitCode"];
  return typeof told === "number" ? told : (exitCodes[code] ?? 125);
}

/** The same error, with the exit code that our own client ends with. */
export function withExitCode(thrown: unknown, exitCode: number): GantryError {
  const { code, message, hint, fields, cause } = toGantryError(thrown);
  return new GantryError(code, message, {
    fields: { ...fields, exitCode },
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/**
 * `docker run` and `docker start` read their exit code out of our words (docker/cli, container/run.go, toStatusError):
 * "executable file not found" and "no such file or directory" mean 127, "permission denied" and "is a directory" 126,
 * everything else 125. So these words are there exactly when the command itself is meant.
 */
const words127 = /executable file not found|no such file or directory/;
const words126 = /permission denied|is a directory/;

/** The message of a failed create, start or run, in words from which docker's client makes the right exit code. */
export function startMessage(code: ErrorCode, message: string): string {
  switch (code) {
    case "command-not-found":
      return words127.test(message) ? message : `${message}: executable file not found in $PATH`;
    case "command-not-executable":
      return words126.test(message) && !words127.test(message)
        ? message
        : `${withoutWords(message)}: permission denied`;
    default:
      return withoutWords(message);
  }
}

function withoutWords(message: string): string {
  return message
    .replaceAll("executable file not found", "executable not found")
    .replaceAll("no such file or directory", "does not exist")
    .replaceAll("permission denied", "access denied")
    .replaceAll("is a directory", "is not a file");
}
