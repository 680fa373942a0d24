/** The description of a flag, and the kinds of values as Go's pflag and docker's opts read them. */
import { FlagError } from "../errors.ts";

/** Reads one value; returns the text to keep, throws an Error with docker's words. */
export type ReadValue = (text: string) => string;

interface Kind {
  /** What help prints behind the flag. */
  readonly label: string;
  /** Stands alone; `=true` and `=false` are possible. */
  readonly alone?: true;
  /** Each use adds a value; otherwise the last one counts. */
  readonly repeats?: true;
  readonly read: ReadValue;
}

const same: ReadValue = (text) => text;

export const kinds = {
  bool: { label: "", alone: true, read: readBool },
  string: { label: "string", read: same },
  int: { label: "int", read: readInt },
  uint16: { label: "uint16", read: readInt },
  list: { label: "list", repeats: true, read: same },
  /** Values may also be separated by commas. */
  strings: { label: "strings", repeats: true, read: same },
  map: { label: "map", repeats: true, read: same },
  filter: { label: "filter", repeats: true, read: readFilter },
  mount: { label: "mount", repeats: true, read: same },
  network: { label: "network", repeats: true, read: same },
  gpus: { label: "gpu-request", repeats: true, read: same },
  ulimit: { label: "ulimit", repeats: true, read: same },
  bytes: { label: "bytes", read: (text) => String(parseBytes(text)) },
  /** As bytes, and -1 for "no limit". */
  swap: { label: "bytes", read: (text) => (text === "-1" ? text : String(parseBytes(text))) },
  decimal: { label: "decimal", read: (text) => String(parseCpus(text)) },
  duration: { label: "duration", read: (text) => String(parseDuration(text)) },
} as const satisfies Record<string, Kind>;

export interface Flag {
  readonly name: string;
  readonly short?: string;
  readonly kind: keyof typeof kinds;
  readonly help: string;
  /** What holds when the flag is not given; printed in the help. */
  readonly preset?: string;
  /** Other long names, not shown in the help. */
  readonly also?: readonly string[];
  /** Narrows the kind's own reading. */
  readonly read?: ReadValue;
  readonly hidden?: true;
}

const truths = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const falsehoods = new Set(["0", "f", "F", "FALSE", "false", "False"]);

function readBool(text: string): string {
  if (truths.has(text)) return "true";
  if (falsehoods.has(text)) return "false";
  throw new FlagError(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function readInt(text: string): string {
  if (!/^[+-]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9](_?[0-9])*)$/.test(text)) {
    throw new FlagError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  const digits = text
    .replace(/^[+-]/, "")
    .replaceAll("_", "")
    .replace(/^0(?=[0-7]+$)/, "0o");
  const value = Number(digits);
  if (value >= 2 ** 63)
    throw new FlagError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  return String(text.startsWith("-") ? -value : value);
}

function readFilter(text: string): string {
  if (!text.includes("=")) throw new FlagError(`invalid filter '${text}'`);
  const at = text.indexOf("=");
  return `${text.slice(0, at).trim().toLowerCase()}=${text.slice(at + 1).trim()}`;
}

const powers: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4, p: 5 };

/** Bytes of `512m`, `1.5g`, `64kb`, `1GiB`: 1024 is the base. */
export function parseBytes(text: string): number {
  const end = text.search(/[0-9. ][^0-9. ]*$/);
  if (end < 0) throw new FlagError(`invalid size: '${text}'`);
  const number = text.slice(0, text[end] === " " ? end : end + 1);
  const suffix = text.slice(end + 1).toLowerCase();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(number)) {
    throw new FlagError(`strconv.ParseFloat: parsing ${JSON.stringify(number)}: invalid syntax`);
  }
  if (number.startsWith("-")) throw new FlagError(`invalid size: '${text}'`);
  if (!/^(|b|[kmgtp](b|ib)?)$/.test(suffix)) throw new FlagError(`invalid suffix: '${text.slice(end + 1)}'`);
  return Math.trunc(Number(number) * 1024 ** (powers[suffix.charAt(0)] ?? 0));
}

/** Billionths of a CPU in `1.5` or `3/2`. */
export function parseCpus(text: string): number {
  const match = /^([+-]?\d*\.?\d*(?:[eE][+-]?\d+)?)(?:\/(\d+))?$/.exec(text);
  const top = Number(match?.[1] || Number.NaN);
  const bottom = Number(match?.[2] ?? "1");
  if (!Number.isFinite(top) || bottom === 0)
    throw new FlagError(`failed to parse ${text} as a rational number`);
  const nano = (top / bottom) * 1e9;
  // Floating point is exact enough to tell 0.1 (a whole number of billionths) from 1e-12.
  if (Math.abs(nano - Math.round(nano)) > 1e-6 * Math.max(1, Math.abs(nano) * 1e-6)) {
    throw new FlagError("value is too precise");
  }
  return Math.round(nano);
}

const nanos: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Nanoseconds of `1m30s`, `100ms` (Go's time.ParseDuration). */
export function parseDuration(text: string): number {
  const quoted = JSON.stringify(text);
  const body = text.replace(/^[+-]/, "");
  if (body === "0") return 0;
  if (body === "") throw new FlagError(`time: invalid duration ${quoted}`);
  let total = 0;
  let rest = body;
  while (rest !== "") {
    const number = /^(\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) throw new FlagError(`time: invalid duration ${quoted}`);
    rest = rest.slice(number.length);
    const unit = /^[^0-9.]+/.exec(rest)?.[0];
    if (unit === undefined) throw new FlagError(`time: missing unit in duration ${quoted}`);
    const factor = nanos[unit];
    if (factor === undefined)
      throw new FlagError(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`);
    total += Number(number) * factor;
    rest = rest.slice(unit.length);
  }
  return Math.round(text.startsWith("-") ? -total : total);
}
