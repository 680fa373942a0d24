/** A template's text to its tree. Pure. */
import { lexTemplate, parseError, type Part, type Token } from "./lex-template.ts";
import type { Command, Node, Operand, Pipeline } from "./node.ts";

/** @param isFunction tells the names that may be called. @throws {TemplateError} in the words of Go's text/template */
export function parseTemplate(source: string, isFunction: (name: string) => boolean): readonly Node[] {
  return new Parser(source, isFunction).parse();
}

interface Block {
  readonly nodes: readonly Node[];
  /** What ended it: the words of `end`, `else`, `else if …`; undefined at the end of the template. */
  readonly end: readonly Token[] | undefined;
}

class Parser {
  readonly #source: string;
  readonly #isFunction: (name: string) => boolean;
  readonly #parts: readonly Part[];
  #next = 0;

  constructor(source: string, isFunction: (name: string) => boolean) {
    this.#source = source;
    this.#isFunction = isFunction;
    this.#parts = lexTemplate(source);
  }

  parse(): readonly Node[] {
    const block = this.#block(["$"]);
    if (block.end !== undefined)
      throw this.#error(block.end[0]?.at ?? 0, `unexpected {{${block.end[0]?.text ?? ""}}}`);
    return block.nodes;
  }

  #block(variables: readonly string[]): Block {
    const nodes: Node[] = [];
    const scope = [...variables];
    for (let part = this.#parts[this.#next]; part !== undefined; part = this.#parts[this.#next]) {
      this.#next++;
      if (part.is === "text") {
        nodes.push(part);
        continue;
      }
      const [first] = part.tokens;
      const word = first?.is === "word" ? first.text : "";
      if (word === "end" || word === "else") return { nodes, end: part.tokens };
      if (word === "if" || word === "with" || word === "range")
        nodes.push(this.#branch(word, part.tokens.slice(1), scope));
      else if (word === "break" || word === "continue") nodes.push({ is: word });
      else nodes.push({ is: "action", pipeline: this.#pipeline(part.tokens, scope, part.at) });
    }
    return { nodes, end: undefined };
  }

  #branch(is: "if" | "with" | "range", tokens: readonly Token[], scope: readonly string[]): Node {
    const inner = [...scope];
    const at = tokens[0]?.at ?? 0;
    if (tokens.length === 0) throw this.#error(at, `missing value for ${is}`);
    const pipeline = this.#pipeline(tokens, inner, at);
    const body = this.#block(inner);
    if (body.end === undefined) throw this.#error(this.#source.length, "unexpected EOF");
    if (body.end[0]?.text === "end") return { is, pipeline, body: body.nodes, otherwise: [] };
    const [, chained] = body.end;
    if (chained !== undefined) {
      // {{else if …}}: the same as an if within the else.
      if (chained.text !== "if" && chained.text !== "with")
        throw this.#error(chained.at, `unexpected <${chained.text}> in else`);
      return {
        is,
        pipeline,
        body: body.nodes,
        otherwise: [this.#branch(chained.text, body.end.slice(2), inner)],
      };
    }
    const otherwise = this.#block(inner);
    if (otherwise.end === undefined) throw this.#error(this.#source.length, "unexpected EOF");
    return { is, pipeline, body: body.nodes, otherwise: otherwise.nodes };
  }

  #pipeline(tokens: readonly Token[], scope: string[], at: number): Pipeline {
    const [first, second, third, fourth] = tokens;
    let variables: string[] = [];
    let assigns = false;
    let rest = tokens;
    if (first?.is === "variable" && (second?.is === "declare" || second?.is === "assign")) {
      variables = [first.text];
      assigns = second.is === "assign";
      rest = tokens.slice(2);
    } else if (
      first?.is === "variable" &&
      second?.is === "comma" &&
      third?.is === "variable" &&
      fourth?.is === "declare"
    ) {
      variables = [first.text, third.text];
      rest = tokens.slice(4);
    }
    const commands = splitPipe(rest).map((part) => this.#command(part, scope, at));
    if (!assigns) scope.push(...variables);
    return { commands, variables, assigns };
  }

  #command(tokens: readonly Token[], scope: readonly string[], at: number): Command {
    const operands: Operand[] = [];
    let i = 0;
    while (i < tokens.length) {
      const { operand, next } = this.#operand(tokens, i, scope);
      operands.push(operand);
      i = next;
    }
    const [first, ...others] = operands;
    if (first === undefined) throw this.#error(at, "missing value for command");
    const last = tokens.at(-1);
    return {
      operands: [first, ...others],
      source: this.#source.slice(tokens[0]?.at ?? at, last === undefined ? at : last.at + last.text.length),
    };
  }

  #operand(
    tokens: readonly Token[],
    start: number,
    scope: readonly string[],
  ): { readonly operand: Operand; readonly next: number } {
    const token = tokens[start];
    if (token === undefined) throw this.#error(0, "missing value for command");
    let next = start + 1;
    let nested: Pipeline | undefined;
    if (token.is === "open") {
      next = closing(tokens, start);
      nested = this.#pipeline(tokens.slice(start + 1, next - 1), [...scope], token.at);
    }
    const fields = token.is === "field" ? [token.text.slice(1)] : [];
    let at = token.at;
    const chains = ["field", "variable", "dot", "open"].includes(token.is);
    for (let follower = chains ? tokens[next] : undefined; follower?.is === "field" && !follower.spaced;) {
      // As Go has it, a chain stands where its second part begins.
      if (fields.length === (token.is === "field" ? 1 : 0)) at = follower.at;
      fields.push(follower.text.slice(1));
      follower = tokens[++next];
    }
    const last = tokens[next - 1] ?? token;
    const place = { ...this.#place(at), source: this.#source.slice(token.at, last.at + last.text.length) };
    if (nested !== undefined) return { operand: { is: "nested", pipeline: nested, fields, ...place }, next };
    return { operand: this.#simple(token, fields, place, scope), next };
  }

  #simple(
    token: Token,
    fields: readonly string[],
    place: Pick<Operand, "line" | "column" | "source">,
    scope: readonly string[],
  ): Operand {
    switch (token.is) {
      case "field":
      case "dot":
        return { is: "dot", fields, ...place };
      case "variable":
        if (!scope.includes(token.text))
          throw this.#error(token.at, `undefined variable ${JSON.stringify(token.text)}`);
        return { is: "variable", name: token.text, fields, ...place };
      case "string":
      case "char":
        return { is: "literal", value: this.#string(token), ...place };
      case "number":
        return { is: "literal", value: Number(token.text), ...place };
      case "word":
        if (token.text === "true" || token.text === "false")
          return { is: "literal", value: token.text === "true", ...place };
        if (token.text === "nil") return { is: "literal", value: null, ...place };
        if (!this.#isFunction(token.text))
          throw this.#error(token.at, `function ${JSON.stringify(token.text)} not defined`);
        return { is: "function", name: token.text, ...place };
      default:
        throw this.#error(token.at, `unexpected <${token.text}> in operand`);
    }
  }

  #string(token: Token): string | number {
    if (token.text.startsWith("`")) return token.text.slice(1, -1);
    const body = token.text
      .slice(1, -1)
      .replaceAll(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)/g, (_, escape: string) => {
        const simple: Readonly<Record<string, string>> = {
          n: "\n",
          t: "\t",
          r: "\r",
          "\\": "\\",
          '"': '"',
          "'": "'",
          a: "\x07",
          b: "\b",
          f: "\f",
          v: "\v",
        };
        if (escape.length > 1) return String.fromCodePoint(Number.parseInt(escape.slice(1), 16));
        const char = simple[escape];
        if (char === undefined) throw this.#error(token.at, "invalid syntax");
        return char;
      });
    return token.is === "char" ? (body.codePointAt(0) ?? 0) : body;
  }

  #place(at: number): { readonly line: number; readonly column: number } {
    const before = this.#source.slice(0, at);
    return {
      line: before.split("\n").length,
      column: Buffer.byteLength(before.slice(before.lastIndexOf("\n") + 1)),
    };
  }

  #error(at: number, message: string): Error {
    return parseError(this.#source, at, message);
  }
}

/** The index behind the paren that closes the one at `open`. */
function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    depth += tokens[i]?.is === "open" ? 1 : tokens[i]?.is === "close" ? -1 : 0;
    if (depth === 0) return i + 1;
  }
  return tokens.length;
}

function splitPipe(tokens: readonly Token[]): (readonly Token[])[] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    depth += token.is === "open" ? 1 : token.is === "close" ? -1 : 0;
    if (token.is === "pipe" && depth === 0) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}
