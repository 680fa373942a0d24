/** Where something stands in a Dockerfile, and the errors that point there. */
import { GantryError } from "../../lib/index.ts";

/** Line and column count from 1; a column is a UTF-16 unit, as editors count. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface SourceRange {
  readonly start: Position;
  /** The last line that belongs to it, heredoc bodies included. */
  readonly endLine: number;
}

/** What a parser throws where it knows what is wrong but not where its text stands: `offset` counts in that text. */
export class SyntaxProblem extends Error {
  readonly offset: number;
  readonly hint: string | undefined;

  constructor(message: string, offset = 0, hint?: string) {
    super(message);
    this.name = "SyntaxProblem";
    this.offset = offset;
    this.hint = hint;
  }
}

const shownLength = 160;

/** One source line fit for a terminal: no control characters, not endless. */
function printable(line: string): string {
  const cut = line.length > shownLength ? `${line.slice(0, shownLength)}…` : line;
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out
  return cut.replaceAll("\t", " ").replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

/**
 * An error worded as docker words it, followed by the column and the offending line.
 * @returns {GantryError} "invalid" with the fields line and column
 */
export function dockerfileError(source: string, at: Position, message: string, hint?: string): GantryError {
  const line = source.split("\n", at.line)[at.line - 1] ?? "";
  const gutter = ` ${at.line} | `;
  const marker = `${" ".repeat(gutter.length - 2)}| ${" ".repeat(Math.min(at.column - 1, shownLength))}^`;
  const text = `dockerfile parse error on line ${at.line}: ${message} (column ${at.column})\n${gutter}${printable(line)}\n${marker}`;
  return new GantryError("invalid", text, {
    fields: { line: at.line, column: at.column },
    ...(hint === undefined ? {} : { hint }),
  });
}
