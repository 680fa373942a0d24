/** Cuts a template into text and actions, and an action into tokens. Pure. */
import { TemplateError } from "./node.ts";

export interface Token {
  readonly is:
    | "field"
    | "variable"
    | "word"
    | "string"
    | "number"
    | "char"
    | "dot"
    | "open"
    | "close"
    | "pipe"
    | "comma"
    | "declare"
    | "assign";
  readonly text: string;
  /** Offset in the template. */
  readonly at: number;
  /** White space stands before it. */
  readonly spaced: boolean;
}

export type Part =
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "action"; readonly tokens: readonly Token[]; readonly at: number };

/** A parse error in Go's words. */
export function parseError(source: string, at: number, message: string): TemplateError {
  return new TemplateError("parse", `template: :${source.slice(0, at).split("\n").length}: ${message}`);
}

/** @throws {TemplateError} for an action that does not end or holds a strange character */
export function lexTemplate(source: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  let trimNext = false;
  while (at < source.length) {
    const open = source.indexOf("{{", at);
    const end = open < 0 ? source.length : open;
    const trimLeft = open >= 0 && /^-\s/.test(source.slice(open + 2, open + 4));
    let text = source.slice(at, end);
    if (trimNext) text = text.trimStart();
    if (trimLeft) text = text.trimEnd();
    if (text !== "") parts.push({ is: "text", text });
    if (open < 0) break;
    const action = lexAction(source, open + 2 + (trimLeft ? 1 : 0));
    if (action.tokens !== undefined) parts.push({ is: "action", tokens: action.tokens, at: open + 2 });
    trimNext = action.trimRight;
    at = action.next;
  }
  return parts;
}

interface Lexed {
  /** Undefined for a comment. */
  readonly tokens: readonly Token[] | undefined;
  readonly next: number;
  readonly trimRight: boolean;
}

const patterns: readonly (readonly [Token["is"], RegExp])[] = [
  ["field", /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ["number", /[+-]?(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)/y],
  ["variable", /\$[\p{L}\p{N}_]*/uy],
  ["word", /[\p{L}_][\p{L}\p{N}_]*/uy],
  ["string", /"(?:[^"\\\n]|\\.)*"|`[^`]*`/y],
  ["char", /'(?:[^'\\\n]|\\.)'/y],
  ["declare", /:=/y],
  ["assign", /=/y],
  ["dot", /\./y],
  ["open", /\(/y],
  ["close", /\)/y],
  ["pipe", /\|/y],
  ["comma", /,/y],
];

function lexAction(source: string, start: number): Lexed {
  const comment = /^\s*\/\*[^]*?\*\/\s*(-?)\}\}/.exec(source.slice(start));
  if (comment !== null)
    return { tokens: undefined, next: start + comment[0].length, trimRight: comment[1] === "-" };
  const tokens: Token[] = [];
  let at = start;
  let depth = 0;
  for (;;) {
    const space = /[\s]*/y;
    space.lastIndex = at;
    const spaces = space.exec(source)?.[0].length ?? 0;
    at += spaces;
    const end = /^(-?)\}\}/.exec(source.slice(at, at + 3));
    if (end !== null && (end[1] === "" || spaces > 0)) {
      if (depth > 0) throw parseError(source, at, "unclosed left paren");
      return { tokens, next: at + end[0].length, trimRight: end[1] === "-" };
    }
    if (at >= source.length) throw parseError(source, start, "unclosed action");
    const token = nextToken(source, at, spaces > 0);
    if (token === undefined) throw strange(source, at);
    depth += token.is === "open" ? 1 : token.is === "close" ? -1 : 0;
    if (depth < 0) throw parseError(source, at, "unexpected right paren");
    tokens.push(token);
    at += token.text.length;
  }
}

function nextToken(source: string, at: number, spaced: boolean): Token | undefined {
  for (const [is, pattern] of patterns) {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text !== undefined) return { is, text, at, spaced };
  }
  return undefined;
}

function strange(source: string, at: number): TemplateError {
  const char = String.fromCodePoint(source.codePointAt(at) ?? 0);
  if (char === '"') return parseError(source, at, "unterminated quoted string");
  if (char === "`") return parseError(source, at, "unterminated raw quoted string");
  const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return parseError(source, at, `unexpected ${JSON.stringify(char)} in operand (U+${code})`);
}
