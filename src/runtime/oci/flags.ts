/** runc's command line: `--name value`, `--name=value`, `-x`, before or between the words. Pure. */
import { GantryError } from "../../lib/index.ts";
import { programName } from "./program-name.ts";

export interface FlagSpec {
  readonly kind: "bool" | "text" | "list" | "number";
  readonly short?: string;
  /** For the help text. */
  readonly about?: string;
  readonly default?: string;
}

export type FlagSpecs = Readonly<Record<string, FlagSpec>>;

export interface ParsedFlags {
  readonly words: readonly string[];
  is(name: string): boolean;
  text(name: string): string | undefined;
  list(name: string): readonly string[];
  number(name: string): number | undefined;
  has(name: string): boolean;
}

/** The command line itself is wrong: the help text is shown before the error. */
export class UsageError extends GantryError {
  /** What "Incorrect Usage" goes on with: the error's words, or nothing where the error alone says it. */
  readonly detail: string;

  constructor(message: string, detail: string) {
    super("invalid", message);
    this.detail = detail;
  }
}

/**
 * Reads flags and words. With `stopAtWord` everything behind the first word is a word, as for a command to be run; `--`
 * ends the flags in any case.
 * @throws {UsageError} for an unknown flag, a missing value or one of another kind
 */
export function parseFlags(specs: FlagSpecs, args: readonly string[], stopAtWord = true): ParsedFlags {
  const values = new Map<string, string[]>();
  const words: string[] = [];
  let at = 0;
  while (at < args.length) {
    const arg = args[at++] ?? "";
    if (arg === "--") break;
    if (!arg.startsWith("-") || arg === "-") {
      words.push(arg);
      if (stopAtWord) break;
      continue;
    }
    for (const [name, inline] of flagsOf(specs, arg)) {
      const spec = specs[name];
      const value = inline ?? (spec?.kind === "bool" ? "true" : args[at++]);
      if (value === undefined) throw wrong(`flag needs an argument: -${bare(arg)}`);
      check(name, spec, value);
      values.set(name, [...(values.get(name) ?? []), value]);
    }
  }
  words.push(...args.slice(at));
  const last = (name: string): string | undefined => {
    const all = values.get(name) ?? [];
    return all[all.length - 1];
  };
  return {
    words,
    is: (name) => truths[last(name) ?? ""] === true,
    text: last,
    list: (name) => values.get(name) ?? [],
    number: (name) => (values.has(name) ? Number(last(name)) : undefined),
    has: (name) => values.has(name),
  };
}

/** What Go reads as a truth value. */
const truths: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

function check(name: string, spec: FlagSpec | undefined, value: string): void {
  if (spec?.kind === "bool" && truths[value] === undefined)
    throw wrong(`invalid boolean value ${JSON.stringify(value)} for -${name}: parse error`);
  if (spec?.kind === "number" && !/^[+-]?[0-9]{1,15}$/.test(value))
    throw wrong(`invalid value ${JSON.stringify(value)} for flag -${name}: parse error`);
}

/** One flag by its long or short name, or several short ones in a row, of which the last may take a value. */
function flagsOf(specs: FlagSpecs, arg: string): readonly (readonly [string, string | undefined])[] {
  const [given = "", inline] = splitOnce(bare(arg));
  const name = longName(specs, given);
  if (name !== undefined) return [[name, inline]];
  const letters = arg.startsWith("--") ? [] : [...given].map((letter) => longName(specs, letter));
  const known = letters.filter((letter): letter is string => letter !== undefined);
  const rest = known.slice(0, -1).every((letter) => specs[letter]?.kind === "bool");
  if (known.length < 2 || known.length < letters.length || !rest)
    throw wrong(`flag provided but not defined: -${given}`);
  return known.map((letter, index) => [letter, index === known.length - 1 ? inline : undefined]);
}

function bare(arg: string): string {
  return arg.replace(/^--?/, "");
}

function splitOnce(text: string): readonly [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function longName(specs: FlagSpecs, given: string): string | undefined {
  if (Object.prototype.hasOwnProperty.call(specs, given)) return given;
  return Object.entries(specs).find(([, { short }]) => short === given)?.[0];
}

function wrong(message: string): UsageError {
  return new UsageError(message, message);
}

/** @throws {UsageError} when the number of words is wrong, in runc's words */
export function expectWords(verb: string, flags: ParsedFlags, low: number, high = low): readonly string[] {
  const { length } = flags.words;
  if (length >= low && length <= high) return flags.words;
  const wanted =
    low === high ? `exactly ${low}` : length < low ? `a minimum of ${low}` : `a maximum of ${high}`;
  throw new UsageError(`${programName()}: "${verb}" requires ${wanted} argument(s)`, "");
}
