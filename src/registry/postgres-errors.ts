/** What errors of PostgreSQL mean to us. */
import { type ErrorCode, GantryError, messageOf } from "../lib/index.ts";

/** serialization_failure, deadlock_detected: the transaction had no effect and is run again. */
const collisions = new Set(["40001", "40P01"]);

/** The server goes down, comes up, or has no connection to spare. */
const absences = new Set(["57P01", "57P02", "57P03", "53300", "08000", "08003", "08006"]);

const codes: Readonly<Record<string, ErrorCode>> = {
  "53100": "exhausted",
  "53200": "exhausted",
  "57014": "timeout",
  "55P03": "timeout",
  "28000": "denied",
  "28P01": "denied",
  "42501": "denied",
  "25006": "unavailable",
};

/** The SQLSTATE that the server answered; undefined: the error is not from the server. */
function stateOf(error: unknown): string | undefined {
  if (!(error instanceof Bun.SQL.PostgresError)) return undefined;
  return error.errno === undefined ? undefined : String(error.errno);
}

export function isCollision(error: unknown): boolean {
  const state = stateOf(error) ?? "";
  return collisions.has(state) || (state === "23505" && isCatalog(error));
}

/** CREATE TABLE IF NOT EXISTS, twice at once: the loser trips over the catalog's own keys. */
function isCatalog(error: unknown): boolean {
  return error instanceof Bun.SQL.PostgresError && error.constraint?.startsWith("pg_") === true;
}

/** True when the connection, not the statement, has failed. */
export function isAbsence(error: unknown): boolean {
  if (!(error instanceof Bun.SQL.PostgresError)) return false;
  const state = stateOf(error);
  return state === undefined
    ? /CONNECTION|TIMEOUT|TLS_NOT_AVAILABLE/.test(String(error.code))
    : absences.has(state);
}

/** @param server for the message */
export function postgresError(error: unknown, server: string): unknown {
  if (isAbsence(error))
    return new GantryError("unavailable", `${server} does not answer: ${messageOf(error)}`, { cause: error });
  const state = stateOf(error);
  const code = state === undefined ? undefined : codes[state];
  if (code !== undefined) return new GantryError(code, `${server}: ${messageOf(error)}`, { cause: error });
  if (isCollision(error))
    return new GantryError("unavailable", `${server}: the transaction collided with others again and again`, {
      cause: error,
    });
  return error;
}
