/**
 * The one error family of Gantry. Code is a closed set; each edge (HTTP, command line) maps it with a complete table.
 */

export type ErrorCode =
  /** The named object does not exist. */
  | "not-found"
  /** The object exists already, or is in a state that forbids the operation. */
  | "conflict"
  /** The object is already in the wished state. */
  | "not-modified"
  /** The request itself is wrong, whatever the state. */
  | "invalid"
  /** The caller or the process lacks a right. */
  | "denied"
  /** A limit, a pool or the disk is used up. */
  | "exhausted"
  /** The feature does not exist here: kernel, platform or Gantry lacks it. */
  | "unsupported"
  /** Something that should answer does not (engine, monitor, registry). */
  | "unavailable"
  /** Data is not what its digest, checksum or format says. */
  | "corrupt"
  | "timeout"
  | "canceled"
  /** The container's command was not found (exit code 127). */
  | "command-not-found"
  /** The container's command could not be executed (exit code 126). */
  | "command-not-executable"
  /** A bug of ours, or a system error that nothing above describes. */
  | "internal";

export interface ErrorDetails {
  readonly cause?: unknown;
  /** What the user can do about it: one sentence. */
  readonly hint?: string;
  /** Facts for programs: path, container, step, errno … */
  readonly fields?: Readonly<Record<string, string | number | boolean>>;
}

/** An error with a closed code, a sentence that names the failing object, a cause and a remedy. */
export class GantryError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly fields: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    // Not by Error's second argument, which QuickJS does not have.
    if (details.cause !== undefined)
      Object.defineProperty(this, "cause", { value: details.cause, writable: true, configurable: true });
    this.name = "GantryError";
    this.code = code;
    this.hint = details.hint;
    this.fields = details.fields ?? {};
  }
}

/** True when `error` is a system error with this errno name, such as `ENOENT`. */
export function isErrno(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && "code" in error && names.includes(String(error.code));
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const errnoCodes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not-found",
  EEXIST: "conflict",
  EBUSY: "conflict",
  EACCES: "denied",
  EPERM: "denied",
  EROFS: "denied",
  ENOSPC: "exhausted",
  EDQUOT: "exhausted",
  EMFILE: "exhausted",
  ENFILE: "exhausted",
  ENOMEM: "exhausted",
  EAGAIN: "exhausted",
  ENOSYS: "unsupported",
  EOPNOTSUPP: "unsupported",
  ETIMEDOUT: "timeout",
  ECONNREFUSED: "unavailable",
};

/** Turns anything thrown into a GantryError, once, at a boundary; `doing` says what failed ("write layer sha256:…"). */
export function toGantryError(error: unknown, doing?: string): GantryError {
  if (error instanceof GantryError) return error;
  const errno = error instanceof Error && "code" in error ? String(error.code) : "";
  const code = errnoCodes[errno] ?? "internal";
  const message = doing === undefined ? messageOf(error) : `${doing}: ${messageOf(error)}`;
  const hint = errno === "ENOSPC" ? "free disk space, for example with: gantry system prune" : undefined;
  return new GantryError(code, message, { cause: error, ...(hint === undefined ? {} : { hint }) });
}
