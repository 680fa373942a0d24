/** Flags of instructions: `--from=x`. They stand before the arguments; a lone `--` ends them. */
import { SyntaxProblem } from "./source.ts";
import { skipSpaces, unquote, wordEnd } from "./words.ts";

type FlagKind = "string" | "boolean";

export type FlagTable = Readonly<Record<string, FlagKind>>;

export interface ParsedFlags {
  readonly values: ReadonlyMap<string, string>;
  /** Where the arguments start in the text. */
  readonly rest: number;
}

/** Flags that the Dockerfile reference has and this builder does not, with what to do instead. */
const unsupported: Readonly<Record<string, string>> = {
  mount: "copy the files with COPY, or let the command fetch what it needs",
  security: "this builder runs every command with the default profile",
  device: "this builder gives no devices to RUN",
  parents: "name the destination folders in the COPY instruction",
  exclude: "name the files in .dockerignore",
  "keep-git-dir": "git sources are not supported; clone in a RUN instruction",
  unpack: "ADD unpacks a local archive by itself; COPY does not",
};

function flagError(name: string, table: FlagTable, offset: number): SyntaxProblem {
  const instead = unsupported[name];
  if (instead !== undefined)
    return new SyntaxProblem(`the --${name} option is not supported by this builder`, offset, instead);
  const known = Object.keys(table);
  const hint =
    known.length === 0
      ? "this instruction takes no flags"
      : `known flags: ${known.map((f) => `--${f}`).join(", ")}`;
  return new SyntaxProblem(`unknown flag: --${name.slice(0, 60)}`, offset, hint);
}

function booleanValue(name: string, value: string | undefined, offset: number): string {
  const lower = value?.toLowerCase();
  if (lower === undefined || lower === "true") return "true";
  if (lower === "false") return "false";
  throw new SyntaxProblem(
    lower === ""
      ? `missing a value on flag: --${name}`
      : `expecting boolean value for flag --${name}, not: ${value}`,
    offset,
  );
}

function flagValue(word: string, table: FlagTable, offset: number): readonly [string, string] {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
  const value = equals < 0 ? undefined : word.slice(equals + 1);
  const kind = Object.hasOwn(table, name) ? table[name] : undefined;
  if (kind === undefined) throw flagError(name, table, offset);
  if (kind === "boolean") return [name, booleanValue(name, value, offset)];
  if (value === undefined) throw new SyntaxProblem(`missing a value on flag: --${name}`, offset);
  return [name, value];
}

/**
 * Reads the flags at `start` of an instruction's text.
 * @throws {SyntaxProblem} on an unknown, repeated or malformed flag
 */
export function parseFlags(text: string, start: number, table: FlagTable, escape: string): ParsedFlags {
  const values = new Map<string, string>();
  let at = skipSpaces(text, start);
  while (text.startsWith("--", at)) {
    const end = wordEnd(text, at, escape);
    const word = unquote(text.slice(at, end), escape);
    if (word === "--") return { values, rest: skipSpaces(text, end) };
    const [name, value] = flagValue(word, table, at);
    if (values.has(name)) throw new SyntaxProblem(`duplicate flag specified: --${name}`, at);
    values.set(name, value);
    at = skipSpaces(text, end);
  }
  return { values, rest: at };
}
