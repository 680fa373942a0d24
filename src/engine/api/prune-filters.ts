/** The filters that every prune has. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { Filters } from "./filters.ts";

export const pruneFilters = ["until", "label", "label!"] as const;

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/**
 * `until`: only what is older than this moment, in milliseconds since 1970; Infinity without the filter.
 * Takes an age (`24h30m`), seconds since 1970, or RFC 3339.
 * @throws {GantryError} "invalid"
 */
export function untilOf(filters: Filters, nowMs: number): number {
  const text = filters.one("until");
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (/^\d{1,12}(\.\d{1,9})?$/.test(text)) return Number(text) * 1000;
  if (/^(\d{1,9}(\.\d{1,9})?(h|ms|m|s))+$/.test(text)) {
    const parts = text.matchAll(/([\d.]+)(h|ms|m|s)/g);
    return (
      nowMs - [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * (unitMs[unit ?? ""] ?? 0), 0)
    );
  }
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new GantryError("invalid", `invalid filter 'until=${text.slice(0, 40)}'`);
  return ms;
}
