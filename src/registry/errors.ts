/** Errors of the registry as clients see them (distribution-spec 1.1, "Error Codes"). */
import { GantryError, toGantryError } from "../lib/index.ts";

/** The codes of the specification, and the status each goes with. */
export const errorStatus = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  TAG_INVALID: 400,
  RANGE_INVALID: 416,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
} as const;

export type RegistryErrorCode = keyof typeof errorStatus;

export interface RegistryErrorDetails {
  readonly detail?: unknown;
  /** Where another status than the code's own is due: 409 for an immutable tag, 413 for a manifest that is too big. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** What a request is refused with. */
export class RegistryError extends Error {
  readonly code: RegistryErrorCode;
  readonly status: number;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: RegistryErrorCode, message: string, details: RegistryErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = "RegistryError";
    this.code = code;
    this.status = details.status ?? errorStatus[code];
    this.detail = details.detail;
    this.headers = details.headers ?? {};
  }
}

/** Anything thrown as an error of the registry; what is our own fault tells no details to the client. */
export function toRegistryError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const known: GantryError = toGantryError(error);
  switch (known.code) {
    case "not-found":
      return new RegistryError("NAME_UNKNOWN", known.message, { cause: error });
    case "invalid":
    case "corrupt":
      return new RegistryError("MANIFEST_INVALID", known.message, { cause: error });
    case "denied":
      return new RegistryError("DENIED", known.message, { cause: error });
    case "unsupported":
      return new RegistryError("UNSUPPORTED", known.message, { cause: error });
    case "exhausted":
      return new RegistryError("UNKNOWN", known.message, { cause: error, status: 507 });
    case "unavailable":
    case "timeout":
      return new RegistryError("UNAVAILABLE", known.message, { cause: error });
    default:
      return new RegistryError("UNKNOWN", "internal error; the registry's log has the cause", {
        cause: error,
      });
  }
}
