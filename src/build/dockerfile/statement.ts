/** What every instruction parser is given: the text after keyword and flags, and words for what is wrong with it. */
import type { Heredoc } from "./heredoc.ts";
import type { CommandLine } from "./instruction.ts";
import { type SourceRange, SyntaxProblem } from "./source.ts";
import { skipSpaces, splitPlain, type Word } from "./words.ts";

export interface Statement {
  /** Upper case. */
  readonly keyword: string;
  /** The whole logical line, trimmed. */
  readonly text: string;
  /** Where the arguments start in `text`. */
  readonly argsAt: number;
  readonly flags: ReadonlyMap<string, string>;
  readonly heredocs: readonly Heredoc[];
  readonly escape: string;
  readonly range: SourceRange;
}

/** The arguments as one text. */
export function argsText(statement: Statement): string {
  return statement.text.slice(statement.argsAt);
}

/** @throws {SyntaxProblem} when there is no argument */
export function requireArgs(statement: Statement): string {
  const text = argsText(statement);
  if (text === "")
    throw new SyntaxProblem(`${statement.keyword} requires at least one argument`, statement.argsAt);
  return text;
}

/** The whole text as the one argument. @throws {SyntaxProblem} when there is none */
export function oneArg(statement: Statement): string {
  const text = argsText(statement);
  if (text === "")
    throw new SyntaxProblem(`${statement.keyword} requires exactly one argument`, statement.argsAt);
  return text;
}

/**
 * A JSON array of strings, undefined when the text is no JSON array (then it is in shell form).
 * @throws {SyntaxProblem} when it is an array of something else
 */
export function jsonStrings(text: string, offset: number): readonly string[] | undefined {
  if (text[skipSpaces(text, 0)] !== "[") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // no JSON: the reference says it is taken as shell form
  }
  if (!Array.isArray(value)) return undefined;
  const strings = value.filter((item) => typeof item === "string");
  if (strings.length === value.length) return strings;
  throw new SyntaxProblem("when using JSON array syntax, arrays must be comprised of strings only", offset);
}

/** A command in exec or shell form. An empty text is the shell form of nothing. */
export function commandLine(text: string, offset: number): CommandLine {
  const args = jsonStrings(text, offset);
  if (args !== undefined) return { form: "exec", args };
  return { form: "shell", args: text === "" ? [] : [text] };
}

/** JSON strings, or words divided by spaces; offsets count in the statement's text. */
export function wordList(statement: Statement): readonly Word[] {
  const text = argsText(statement);
  const json = jsonStrings(text, statement.argsAt);
  if (json !== undefined) return json.map((item) => ({ text: item, offset: statement.argsAt }));
  return splitPlain(text).map((word) => ({ text: word.text, offset: word.offset + statement.argsAt }));
}
