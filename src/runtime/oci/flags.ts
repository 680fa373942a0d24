/** runc's command line: flags before the words, `-x`, `--name value` and `--name=value`. Pure. */
import { GantryError } from "../../lib/index.ts";

export interface FlagSpec {
  readonly kind: "bool" | "text" | "list";
  readonly short?: string;
}

export interface ParsedFlags {
  readonly words: readonly string[];
  is(name: string): boolean;
  text(name: string): string | undefined;
  list(name: string): readonly string[];
  has(name: string): boolean;
}

/**
 * Reads flags until the first word that is none; what follows are words, untouched.
 * @throws {GantryError} "invalid" for an unknown flag or a missing value
 */
export function parseFlags(specs: Readonly<Record<string, FlagSpec>>, args: readonly string[]): ParsedFlags {
  const values = new Map<string, string[]>();
  let at = 0;
  while (at < args.length) {
    const arg = args[at] ?? "";
    if (arg === "--") {
      at++;
      break;
    }
    if (!arg.startsWith("-") || arg === "-") break;
    at++;
    const [given = "", inline] = splitOnce(arg.replace(/^--?/, ""));
    const name = longName(specs, given);
    const spec = specs[name];
    if (spec === undefined) throw new GantryError("invalid", `flag provided but not defined: -${given}`);
    const value = inline ?? (spec.kind === "bool" ? "true" : args[at++]);
    if (value === undefined) throw new GantryError("invalid", `flag needs an argument: -${given}`);
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return {
    words: args.slice(at),
    is: (name) => values.get(name)?.at(-1) === "true",
    text: (name) => values.get(name)?.at(-1),
    list: (name) => values.get(name) ?? [],
    has: (name) => values.has(name),
  };
}

function splitOnce(text: string): readonly [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function longName(specs: Readonly<Record<string, FlagSpec>>, given: string): string {
  return Object.entries(specs).find(([, { short }]) => short === given)?.[0] ?? given;
}

/** @throws {GantryError} "invalid" when the number of words is wrong, in runc's words */
export function expectWords(verb: string, flags: ParsedFlags, low: number, high = low): readonly string[] {
  const { length } = flags.words;
  if (length >= low && length <= high) return flags.words;
  const wanted =
    low === high ? `exactly ${low}` : length < low ? `a minimum of ${low}` : `a maximum of ${high}`;
  throw new GantryError("invalid", `gantry-oci: "${verb}" requires ${wanted} argument(s)`);
}
