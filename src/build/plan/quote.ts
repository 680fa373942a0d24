/** Values as Go's fmt prints them, which is how docker writes them into an image's history. Pure. */
import type { HealthcheckConfig } from "../../image/index.ts";

/** `%q` of a list: `["a" "b"]`. */
export function quoteList(items: readonly string[]): string {
  return `[${items.map((item) => JSON.stringify(item)).join(" ")}]`;
}

/** `%v` of a list: `[a b]`. */
export function plainList(items: readonly string[]): string {
  return `[${items.join(" ")}]`;
}

/** A duration as Go prints it: `1m30s`, `500ms`, `0s`. */
export function goDuration(ns: number): string {
  if (ns === 0) return "0s";
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${ns / 1e3}µs`;
  if (ns < 1e9) return `${ns / 1e6}ms`;
  const seconds = Math.floor(ns / 1e9);
  const rest = (seconds % 60) + (ns % 1e9) / 1e9;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${rest}s`;
  return minutes < 60 ? `${minutes}m${rest}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m${rest}s`;
}

/** `%q` of a health check: `&{["CMD-SHELL" "curl x"] "30s" "5s" "0s" "0s" '\x03'}`. */
export function quoteHealthcheck(check: HealthcheckConfig): string {
  const times = [check.Interval, check.Timeout, check.StartPeriod, check.StartInterval];
  const retries = check.Retries ?? 0;
  const rune = retries >= 0x20 && retries < 0x7f ? String.fromCodePoint(retries) : hexRune(retries);
  return `&{${quoteList(check.Test ?? [])} ${times.map((ns) => `"${goDuration(ns ?? 0)}"`).join(" ")} '${rune}'}`;
}

const named: Readonly<Record<number, string>> = {
  7: "\\a",
  8: "\\b",
  9: "\\t",
  10: "\\n",
  11: "\\v",
  12: "\\f",
  13: "\\r",
};

function hexRune(value: number): string {
  const hex = value.toString(16);
  return named[value] ?? (value < 0x100 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`);
}
