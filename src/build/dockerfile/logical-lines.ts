/** From text to logical lines: parser directives, comments, continuation lines and heredoc bodies. */
import { chompTabs, type Heredoc, type HeredocMark, heredocMarks } from "./heredoc.ts";
import { dockerfileError, type Position } from "./source.ts";
import { isSpace, skipSpaces } from "./words.ts";

/** One instruction's text, joined from its lines. */
export interface LogicalLine {
  readonly text: string;
  readonly startLine: number;
  readonly endLine: number;
  readonly heredocs: readonly Heredoc[];
  /** From an offset in `text` to where it stands in the file. */
  positionAt(offset: number): Position;
}

export interface LogicalLines {
  readonly lines: readonly LogicalLine[];
  readonly escape: string;
  readonly warnings: readonly string[];
}

interface Piece {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/** Reads line by line; `next` is the number of the line that comes next, from 0. */
class Reader {
  readonly source: string;
  readonly #lines: readonly string[];
  next = 0;
  escape = "\\";
  readonly warnings: string[] = [];

  constructor(source: string) {
    this.source = source;
    this.#lines = source.split("\n");
    if (this.#lines.at(-1) === "") this.#lines = this.#lines.slice(0, -1);
  }

  /** The next line without its end, undefined at the end of the file. */
  take(): string | undefined {
    const line = this.#lines[this.next];
    if (line === undefined) return undefined;
    this.next++;
    return trimLineEnd(line);
  }

  peek(): string | undefined {
    return this.#lines[this.next];
  }
}

function trimLineEnd(line: string): string {
  let end = line.length;
  while (line[end - 1] === "\r") end--;
  return line.slice(0, end);
}

const isComment = (line: string): boolean => line[skipSpaces(line, 0)] === "#";

/** Reads the directives that open the file; the first line that is none ends them. */
function readDirectives(reader: Reader): void {
  const seen = new Set<string>();
  for (let line = reader.peek(); line !== undefined; line = reader.peek()) {
    const match = /^\s*#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/.exec(trimLineEnd(line));
    const name = match?.[1]?.toLowerCase();
    if (name !== "syntax" && name !== "escape" && name !== "check") return;
    const at = { line: reader.next + 1, column: 1 };
    if (seen.has(name))
      throw dockerfileError(reader.source, at, `only one ${name} parser directive can be used`);
    seen.add(name);
    applyDirective(reader, name, (match?.[2] ?? "").trimEnd(), at);
    reader.next++;
  }
}

function applyDirective(
  reader: Reader,
  name: "syntax" | "escape" | "check",
  value: string,
  at: Position,
): void {
  if (name === "syntax") {
    reader.warnings.push(
      `[Warning] the directive syntax=${value.slice(0, 100)} is ignored: this builder has its own Dockerfile frontend`,
    );
  }
  if (name !== "escape") return;
  if (value !== "\\" && value !== "`") {
    throw dockerfileError(reader.source, at, `invalid escape token '${value}' does not match \` or \\`);
  }
  reader.escape = value;
}

/** The line without its continuation mark, or undefined when it has none. An escaped escape character is no mark. */
function withoutContinuation(line: string, escape: string): string | undefined {
  let end = line.length;
  while (line[end - 1] === " " || line[end - 1] === "\t") end--;
  if (line[end - 1] !== escape || line[end - 2] === escape) return undefined;
  return line.slice(0, end - 1);
}

/** Collects the parts of one logical line and remembers where each came from. */
class Joiner {
  #parts: string[] = [];
  #length = 0;
  readonly #pieces: Piece[] = [];

  add(text: string, line: number, column: number): void {
    this.#pieces.push({ offset: this.#length, line, column });
    this.#parts.push(text);
    this.#length += text.length;
  }

  finish(endLine: number, heredocs: readonly Heredoc[]): LogicalLine {
    const pieces = this.#pieces;
    const startLine = pieces[0]?.line ?? endLine;
    const positionAt = (offset: number): Position => {
      const piece = pieces.findLast((p) => p.offset <= offset) ?? { offset: 0, line: startLine, column: 1 };
      return { line: piece.line, column: piece.column + Math.max(0, offset - piece.offset) };
    };
    return { text: this.text(), startLine, endLine, heredocs, positionAt };
  }

  text(): string {
    const text = this.#parts.join("");
    this.#parts = [text];
    return text;
  }
}

/** Adds continuation lines until one ends the instruction. Comments between them are skipped, empty lines warned about. */
function joinContinuation(reader: Reader, joiner: Joiner): void {
  let empty = false;
  for (let line = reader.take(); line !== undefined; line = reader.take()) {
    if (isComment(line)) continue;
    if (skipSpaces(line, 0) === line.length) {
      empty = true;
      continue;
    }
    const rest = withoutContinuation(line, reader.escape);
    joiner.add(rest ?? line, reader.next, 1);
    if (rest === undefined) break;
  }
  if (empty)
    reader.warnings.push(`[Warning] Empty continuation line found in: ${joiner.text().slice(0, 200)}`);
}

const heredocInstruction = /^\s*(?:onbuild\s+)?(?:run|copy|add)\s/i;
const jsonForm = /^\s*(?:onbuild\s+)?(?:run|copy|add)\s+(?:--\S+\s+)*\[/i;

function isJsonForm(text: string): boolean {
  if (!jsonForm.test(text)) return false;
  try {
    return Array.isArray(JSON.parse(text.slice(text.indexOf("["))));
  } catch {
    return false; // no JSON: the instruction is in shell form
  }
}

/** Reads the body of one heredoc up to its end mark. */
function readHeredoc(reader: Reader, mark: HeredocMark, startedAt: Position): Heredoc {
  const body: string[] = [];
  for (let line = reader.peek(); line !== undefined; line = reader.peek()) {
    reader.next++;
    const candidate = trimLineEnd(line);
    if ((mark.chomp ? candidate.replace(/^\t+/, "") : candidate) === mark.name) {
      const content = body.join("");
      return { ...mark, content: mark.chomp ? chompTabs(content) : content };
    }
    body.push(`${line}\n`);
  }
  throw dockerfileError(
    reader.source,
    startedAt,
    `unterminated heredoc <<${mark.name}`,
    `end it with a line that holds ${mark.name} alone`,
  );
}

/**
 * The logical lines of a Dockerfile, comments and empty lines left out.
 * @throws {GantryError} "invalid" on a wrong directive or a heredoc without end
 */
export function readLogicalLines(source: string): LogicalLines {
  const reader = new Reader(source.startsWith("\ufeff") ? source.slice(1) : source);
  readDirectives(reader);
  const lines: LogicalLine[] = [];
  for (let line = reader.take(); line !== undefined; line = reader.take()) {
    const start = skipSpaces(line, 0);
    if (start === line.length || line[start] === "#") continue;
    const joiner = new Joiner();
    const first = withoutContinuation(line, reader.escape);
    joiner.add((first ?? line).slice(start), reader.next, start + 1);
    const startedAt = { line: reader.next, column: start + 1 };
    if (first !== undefined) joinContinuation(reader, joiner);
    const text = joiner.text();
    const marks =
      heredocInstruction.test(text) && text.includes("<<") && !isJsonForm(text) ? heredocMarks(text) : [];
    const heredocs = marks.map((mark) => readHeredoc(reader, mark, startedAt));
    if (!isSpaceOnly(text)) lines.push(joiner.finish(reader.next, heredocs));
  }
  return { lines, escape: reader.escape, warnings: reader.warnings };
}

function isSpaceOnly(text: string): boolean {
  return [...text].every((char) => isSpace(char));
}
