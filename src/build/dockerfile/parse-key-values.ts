/** ENV, LABEL and ARG: names and values. */
import type { ArgInstruction, KeyValue } from "./instruction.ts";
import { SyntaxProblem } from "./source.ts";
import { argsText, requireArgs, type Statement } from "./statement.ts";
import { skipSpaces, splitWords } from "./words.ts";

/** `KEY value with spaces`: the old form, in which everything after the key is the value. */
function oldForm(statement: Statement, text: string): readonly KeyValue[] {
  const keyEnd = text.search(/\s/);
  const value = keyEnd < 0 ? "" : text.slice(skipSpaces(text, keyEnd));
  if (keyEnd < 0 || value === "")
    throw new SyntaxProblem(`${statement.keyword} must have two arguments`, statement.argsAt);
  return [{ key: text.slice(0, keyEnd), value }];
}

/** The pairs of ENV and LABEL. @throws {SyntaxProblem} on a word without `=` and on an empty name */
export function parsePairs(statement: Statement): readonly KeyValue[] {
  const text = requireArgs(statement);
  const words = splitWords(text, statement.escape);
  if (words[0]?.text.includes("=") !== true) return oldForm(statement, text);
  return words.map((word) => {
    const equals = word.text.indexOf("=");
    const offset = statement.argsAt + word.offset;
    if (equals < 0) {
      throw new SyntaxProblem(
        `Syntax error - can't find = in ${JSON.stringify(word.text.slice(0, 100))}. Must be of the form: name=value`,
        offset,
      );
    }
    if (equals === 0) throw new SyntaxProblem(`${statement.keyword} names can not be blank`, offset);
    return { key: word.text.slice(0, equals), value: word.text.slice(equals + 1) };
  });
}

/** The names of ARG, each with or without a default. */
export function parseArgs(statement: Statement): ArgInstruction["args"] {
  const words = splitWords(argsText(statement), statement.escape);
  if (words.length === 0) throw new SyntaxProblem("ARG requires at least one argument", statement.argsAt);
  return words.map((word) => {
    const equals = word.text.indexOf("=");
    const name = equals < 0 ? word.text : word.text.slice(0, equals);
    if (name === "") throw new SyntaxProblem("ARG names can not be blank", statement.argsAt + word.offset);
    return { name, value: equals < 0 ? undefined : word.text.slice(equals + 1) };
  });
}
