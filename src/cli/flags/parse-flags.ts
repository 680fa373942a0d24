/** Splits words into flags and arguments by the rules of Go's pflag, which docker uses. Pure. */
import { FlagError } from "../errors.ts";
import { type Flag, kinds } from "./flag.ts";

/** The values given, by flag name. */
export class FlagValues {
  readonly #given = new Map<string, string[]>();

  set(flag: Flag, text: string): void {
    const kind = kinds[flag.kind];
    const read = flag.read ?? kind.read;
    let value: string;
    try {
      value = read(text);
    } catch (error) {
      const names = flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
      const reason = error instanceof Error ? error.message : String(error);
      throw new FlagError(`invalid argument ${JSON.stringify(text)} for "${names}" flag: ${reason}`);
    }
    const values = flag.kind === "strings" ? value.split(",") : [value];
    const before = "repeats" in kind ? (this.#given.get(flag.name) ?? []) : [];
    this.#given.set(flag.name, [...before, ...values]);
  }

  /** True when the flag was given at all. */
  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** The values of a repeatable flag, in order. */
  list(name: string): readonly string[] {
    return this.#given.get(name) ?? [];
  }

  text(name: string, preset = ""): string {
    return this.#given.get(name)?.at(-1) ?? preset;
  }

  bool(name: string, preset = false): boolean {
    const value = this.#given.get(name)?.at(-1);
    return value === undefined ? preset : value === "true";
  }

  /** Integers, bytes, billionths of a CPU, nanoseconds: whatever the kind counts. */
  number(name: string, preset = 0): number {
    const value = this.#given.get(name)?.at(-1);
    return value === undefined ? preset : Number(value);
  }
}

export interface Parsed {
  readonly flags: FlagValues;
  readonly args: readonly string[];
  /** `--help` was among the flags; the rest was not read. */
  readonly help: boolean;
}

interface ParseOptions {
  /** The first argument ends the flags (run, exec, create, top), as what follows belongs to another program. */
  readonly stopAtArgument?: boolean;
}

/** @throws {FlagError} with pflag's words */
export function parseFlags(
  table: readonly Flag[],
  words: readonly string[],
  options: ParseOptions = {},
): Parsed {
  const flags = new FlagValues();
  const args: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (!word.startsWith("-") || word === "-") {
      if (options.stopAtArgument) return { flags, args: [...args, ...words.slice(i)], help: false };
      args.push(word);
      continue;
    }
    if (word === "--") return { flags, args: [...args, ...words.slice(i + 1)], help: false };
    const step = word.startsWith("--")
      ? readLong(table, word, words[i + 1])
      : readShort(table, word, words[i + 1]);
    if (step === "help") return { flags, args, help: true };
    for (const [flag, text] of step.set) flags.set(flag, text);
    if (step.tookNext) i++;
  }
  return { flags, args, help: false };
}

interface Step {
  readonly set: readonly (readonly [Flag, string])[];
  readonly tookNext: boolean;
}

function readLong(table: readonly Flag[], word: string, next: string | undefined): Step | "help" {
  const at = word.indexOf("=");
  const name = word.slice(2, at < 0 ? undefined : at);
  if (name === "" || name.startsWith("-")) throw new FlagError(`bad flag syntax: ${word}`);
  const flag = table.find((f) => f.name === name || f.also?.includes(name));
  if (flag === undefined) {
    if (name === "help") return "help";
    throw new FlagError(`unknown flag: --${name}`);
  }
  if (at >= 0) return { set: [[flag, word.slice(at + 1)]], tookNext: false };
  if ("alone" in kinds[flag.kind]) return { set: [[flag, "true"]], tookNext: false };
  if (next === undefined) throw new FlagError(`flag needs an argument: --${name}`);
  return { set: [[flag, next]], tookNext: true };
}

function readShort(table: readonly Flag[], word: string, next: string | undefined): Step | "help" {
  const set: [Flag, string][] = [];
  for (let i = 1; i < word.length; i++) {
    const letter = word.charAt(i);
    const flag = table.find((f) => f.short === letter);
    if (flag === undefined) {
      if (letter === "h") return "help";
      throw new FlagError(`unknown shorthand flag: '${letter}' in -${word.slice(i)}`);
    }
    const rest = word.slice(i + 1);
    if (rest.startsWith("=") && rest.length > 1)
      return { set: [...set, [flag, rest.slice(1)]], tookNext: false };
    if ("alone" in kinds[flag.kind]) {
      set.push([flag, "true"]);
      continue;
    }
    if (rest !== "") return { set: [...set, [flag, rest]], tookNext: false };
    if (next === undefined) throw new FlagError(`flag needs an argument: '${letter}' in -${word.slice(i)}`);
    return { set: [...set, [flag, next]], tookNext: true };
  }
  return { set, tookNext: false };
}
