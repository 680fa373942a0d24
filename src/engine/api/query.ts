/** Values of the query string with the types that calls want; a malformed one is an "invalid" error naming it. Pure. */
import { GantryError } from "../../lib/index.ts";

/** `1`, `true`, `yes` … as dockerd reads them: everything but "", 0, no, false and none is true. */
export function flagOf(query: URLSearchParams, name: string, otherwise = false): boolean {
  const value = query.get(name);
  if (value === null) return otherwise;
  return !["", "0", "no", "false", "none"].includes(value.toLowerCase().trim());
}

export function textOf(query: URLSearchParams, name: string): string {
  return query.get(name) ?? "";
}

/** A whole number; undefined when it is not there or empty. @throws {GantryError} "invalid" */
export function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  const value = Number(text);
  if (!/^-?\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) {
    throw new GantryError(
      "invalid",
      `invalid value for ${name}: ${JSON.stringify(text.slice(0, 40))} is not a whole number`,
    );
  }
  return value;
}

/**
 * A time as nanoseconds since 1970: seconds with an optional fraction, or RFC 3339; 0n when it is not there.
 * @throws {GantryError} "invalid"
 */
export function timeOf(query: URLSearchParams, name: string): bigint {
  const text = query.get(name) ?? "";
  if (text === "" || text === "0") return 0n;
  const seconds = /^(-?\d{1,12})(?:\.(\d{1,9})\d*)?$/.exec(text);
  if (seconds !== null)
    return BigInt(seconds[1] ?? "0") * 1_000_000_000n + BigInt((seconds[2] ?? "0").padEnd(9, "0"));
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw new GantryError(
      "invalid",
      `invalid value for ${name}: ${JSON.stringify(text.slice(0, 40))} is not a time`,
    );
  const fraction = /\.(\d{1,9})/.exec(text)?.[1] ?? "0";
  return BigInt(Math.floor(ms / 1000)) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
}
