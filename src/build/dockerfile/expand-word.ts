/**
 * Variables, quotes and escapes in the words of an instruction (Dockerfile reference, "Environment replacement").
 * Works on words of any origin: the depth of nesting and the length of the result are bounded.
 */
import { expandPattern } from "./expand-pattern.ts";
import { SyntaxProblem } from "./source.ts";
import { isSpace } from "./words.ts";

export type Lookup = (name: string) => string | undefined;

/** What all words of one Dockerfile may cost together, in steps of some nanoseconds: a hostile file must not hold the engine. */
export class ExpansionBudget {
  #left = 100_000_000;

  /** @throws {SyntaxProblem} when it is used up */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new SyntaxProblem("the variables of this Dockerfile take too long to expand");
  }
}

export interface ExpandOptions {
  readonly escape: string;
  readonly lookup: Lookup;
  readonly budget?: ExpansionBudget;
  /** Quotes are plain characters: the body of a heredoc. */
  readonly keepQuotes?: boolean;
}

/** In UTF-16 units; a longer result could not be handed to a program either. */
const maxResult = 1024 * 1024;
const maxDepth = 50;

interface Piece {
  text: string;
  /** Came from quotes, or an escaped character: never divided at its spaces. */
  readonly solid: boolean;
}

/** Walks over one word. Every read* leaves `at` behind what it has read. */
class Expander {
  readonly #text: string;
  readonly #options: ExpandOptions;
  #at = 0;
  #depth = 0;
  #length = 0;

  constructor(text: string, options: ExpandOptions) {
    this.#text = text;
    this.#options = options;
  }

  all(): readonly Piece[] {
    return this.#readUntil(undefined, false);
  }

  #piece(text: string, solid: boolean): Piece {
    this.#length += text.length;
    this.#options.budget?.spend(text.length + 1);
    if (this.#length > maxResult)
      throw new SyntaxProblem(`a word grows over ${maxResult} characters by its variables`);
    return { text, solid };
  }

  /** Up to `stop` (which is read too) or the end of the text. `keepEscapes`: a pattern needs them later. */
  #readUntil(stop: string | undefined, keepEscapes: boolean): Piece[] {
    const pieces: Piece[] = [];
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] ?? "";
      if (char === stop) {
        this.#at++;
        return pieces;
      }
      pieces.push(this.#readOne(char, keepEscapes));
    }
    if (stop !== undefined)
      throw new SyntaxProblem(
        stop === "}" ? "syntax error: missing '}'" : `syntax error: missing '${stop}' in \${}`,
      );
    return pieces;
  }

  #readOne(char: string, keepEscapes: boolean): Piece {
    if (char === "$") return this.#piece(this.#readDollar(), false);
    if (char === "'" && this.#options.keepQuotes !== true) return this.#piece(this.#readSingleQuoted(), true);
    if (char === '"' && this.#options.keepQuotes !== true) return this.#piece(this.#readDoubleQuoted(), true);
    this.#at++;
    if (char !== this.#options.escape) return this.#piece(char, false);
    const next = this.#text[this.#at] ?? "";
    this.#at++;
    return this.#piece(keepEscapes ? char + next : next, true);
  }

  #readSingleQuoted(): string {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0)
      throw new SyntaxProblem("unexpected end of statement while looking for matching single-quote");
    const text = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return text;
  }

  #readDoubleQuoted(): string {
    let text = "";
    this.#at++;
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] ?? "";
      if (char === '"') {
        this.#at++;
        return text;
      }
      if (char === "$") {
        text += this.#piece(this.#readDollar(), true).text;
        continue;
      }
      const next = this.#text[this.#at + 1] ?? "";
      const escaped =
        char === this.#options.escape && (next === '"' || next === "$" || next === this.#options.escape);
      text += escaped ? next : char;
      this.#at += escaped ? 2 : 1;
    }
    throw new SyntaxProblem("unexpected end of statement while looking for matching double-quote");
  }

  #readDollar(): string {
    this.#at++;
    if (this.#text[this.#at] !== "{") {
      const name = this.#readName();
      return name === "" ? "$" : (this.#options.lookup(name) ?? "");
    }
    this.#at++;
    if (++this.#depth > maxDepth) throw new SyntaxProblem(`variables are nested more than ${maxDepth} deep`);
    const value = this.#readBraces();
    this.#depth--;
    return value;
  }

  #readName(): string {
    const pattern = /[\p{L}_][\p{L}\p{Nd}_]*|\p{Nd}+|[@*#?\-$!]/uy;
    pattern.lastIndex = this.#at;
    const name = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += name.length;
    return name;
  }

  /** The inside of `${...}`, behind the brace. */
  #readBraces(): string {
    const name = this.#readName();
    if (this.#at >= this.#text.length) throw new SyntaxProblem("syntax error: missing '}'");
    if (name === "") throw new SyntaxProblem("syntax error: bad substitution");
    const value = this.#options.lookup(name);
    const colon = this.#text[this.#at] === ":";
    if (colon) this.#at++;
    const modifier = this.#text[this.#at] ?? "";
    this.#at++;
    if (modifier === "}" && !colon) return value ?? "";
    if (!colon && (modifier === "#" || modifier === "%" || modifier === "/"))
      return this.#readPattern(modifier, value ?? "");
    if (modifier === "-" || modifier === "+" || modifier === "?") {
      const word = joined(this.#readUntil("}", false));
      return choose(modifier, { name, word, value, isSet: value !== undefined && !(colon && value === "") });
    }
    throw new SyntaxProblem(`unsupported modifier (${colon ? ":" : ""}${modifier}) in substitution`);
  }

  #readPattern(modifier: "#" | "%" | "/", value: string): string {
    const double = this.#text[this.#at] === modifier;
    if (double) this.#at++;
    const pattern = joined(this.#readUntil(modifier === "/" ? "/" : "}", true));
    const replacement = modifier === "/" ? joined(this.#readUntil("}", false)) : "";
    const spend = (steps: number): void => this.#options.budget?.spend(steps);
    const result = expandPattern(modifier, { double, pattern, replacement, value, spend });
    if (result === undefined)
      throw new SyntaxProblem(`invalid pattern (${pattern.slice(0, 60)}) in substitution`);
    return result;
  }
}

interface Choice {
  readonly name: string;
  readonly word: string;
  readonly value: string | undefined;
  readonly isSet: boolean;
}

function choose(modifier: "-" | "+" | "?", { name, word, value, isSet }: Choice): string {
  if (modifier === "-") return isSet ? (value ?? "") : word;
  if (modifier === "+") return isSet ? word : "";
  if (isSet) return value ?? "";
  const reason = value === undefined ? "is not allowed to be unset" : "is not allowed to be empty";
  throw new SyntaxProblem(`${name}: ${word === "" ? reason : word}`);
}

function joined(pieces: readonly Piece[]): string {
  return pieces.map((piece) => piece.text).join("");
}

/**
 * The word with its variables replaced and its quotes removed.
 * @throws {SyntaxProblem} on a quote or brace without end, a wrong modifier, a variable that `?` demands
 */
export function expandWord(word: string, options: ExpandOptions): string {
  return joined(new Expander(word, options).all());
}

/** As expandWord, but the result is divided at the spaces that stand outside of quotes, also within variables (EXPOSE). */
export function expandWords(word: string, options: ExpandOptions): readonly string[] {
  const words: string[] = [];
  let open: string | undefined;
  for (const piece of new Expander(word, options).all()) {
    if (piece.solid) {
      open = (open ?? "") + piece.text;
      continue;
    }
    for (const char of piece.text) {
      if (!isSpace(char)) open = (open ?? "") + char;
      else if (open !== undefined) {
        words.push(open);
        open = undefined;
      }
    }
  }
  if (open !== undefined) words.push(open);
  return words;
}
