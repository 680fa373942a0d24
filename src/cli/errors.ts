/** What ends a command: a message for stderr and an exit code. */

interface CliErrorDetails {
  readonly exitCode?: number;
  /** One sentence: what the user can do. */
  readonly hint?: string | undefined;
  /** HTTP status when the engine refused. */
  readonly status?: number;
  /** Printed as it is, without the program's name in front. */
  readonly bare?: boolean;
}

/** An error to print as `gantry: message` and, with a hint, `hint: …`. */
export class CliError extends Error {
  readonly exitCode: number | undefined;
  readonly hint: string | undefined;
  readonly status: number;
  readonly bare: boolean;

  constructor(message: string, details: CliErrorDetails = {}) {
    super(message);
    this.name = "CliError";
    this.exitCode = details.exitCode;
    this.hint = details.hint;
    this.status = details.status ?? 0;
    this.bare = details.bare ?? false;
  }
}

/** Something is wrong with a flag; printed with the usage line of the command, exit code 125 as docker has it. */
export class FlagError extends Error {}

/** Output could not be written because its reader has gone; ends the program without a word. */
export class BrokenPipeError extends Error {}

/** True when `error` is a system error with one of these names, such as `ENOENT`. */
export function hasErrno(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && "code" in error && names.includes(String(error.code));
}
