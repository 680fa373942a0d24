/** Runs a template's tree over data. Pure. */
import { type TemplateFunction, templateFunctions } from "./functions.ts";
import { type Command, type Node, type Operand, type Pipeline, TemplateError } from "./node.ts";
import { parseTemplate } from "./parse-template.ts";
import { goText, isMap, isTrue, Row } from "./value.ts";

export type Template = (data: unknown) => string;

/** How many rounds of ranges one template may take: it may have come from anywhere. */
const mostRounds = 10_000_000;

/** Compiles a template. @throws {TemplateError} phase "parse" now, phase "execute" when it is called */
export function compileTemplate(
  source: string,
  functions: Readonly<Record<string, TemplateFunction>> = templateFunctions,
): Template {
  const tree = parseTemplate(source, (name) => Object.hasOwn(functions, name));
  const whole = (data: unknown): string => new Execution(functions, data).run(tree);
  const parts = plainParts(tree);
  return parts === undefined ? whole : (data) => joinPlain(parts, data) ?? whole(data);
}

/** A text, or the name of a field of the row. */
type PlainPart = { readonly text: string } | { readonly field: string };

/** The parts of a template that is nothing but texts and fields, as the default tables are; a list of thousands is run often. */
function plainParts(tree: readonly Node[]): readonly PlainPart[] | undefined {
  const parts: PlainPart[] = [];
  for (const node of tree) {
    if (node.is === "text") parts.push({ text: node.text });
    else if (node.is !== "action" || node.pipeline.variables.length > 0) return undefined;
    else {
      const [command, ...others] = node.pipeline.commands;
      const [operand, ...args] = command?.operands ?? [];
      if (others.length > 0 || args.length > 0 || operand?.is !== "dot") return undefined;
      const [field, ...deeper] = operand.fields;
      if (field === undefined || deeper.length > 0) return undefined;
      parts.push({ field });
    }
  }
  return parts;
}

/** Undefined when a field is no text of a row: then the whole machinery says what it is, or what is wrong. */
function joinPlain(parts: readonly PlainPart[], data: unknown): string | undefined {
  if (!(data instanceof Row)) return undefined;
  let text = "";
  for (const part of parts) {
    const value =
      "text" in part
        ? part.text
        : Object.hasOwn(data.fields, part.field)
          ? data.fields[part.field]
          : undefined;
    if (typeof value !== "string") return undefined;
    text += value;
  }
  return text;
}

/** Control flow of {{break}} and {{continue}}. */
class LoopSignal extends Error {
  readonly is: "break" | "continue";
  constructor(is: "break" | "continue") {
    super(`{{${is}}} outside {{range}}`);
    this.is = is;
  }
}

type Variables = readonly { readonly name: string; value: unknown }[];

class Execution {
  readonly #functions: Readonly<Record<string, TemplateFunction>>;
  readonly #root: unknown;
  #output = "";
  #rounds = 0;

  constructor(functions: Readonly<Record<string, TemplateFunction>>, data: unknown) {
    this.#functions = functions;
    this.#root = data;
  }

  run(tree: readonly Node[]): string {
    this.#nodes(tree, this.#root, [{ name: "$", value: this.#root }]);
    return this.#output;
  }

  #nodes(nodes: readonly Node[], dot: unknown, outer: Variables): void {
    let variables = outer;
    for (const node of nodes) {
      switch (node.is) {
        case "text":
          this.#output += node.text;
          break;
        case "action": {
          const result = this.#pipeline(node.pipeline, dot, variables);
          variables = result.variables;
          if (node.pipeline.variables.length === 0) this.#output += goText(result.value);
          break;
        }
        case "range":
          this.#range(node, dot, variables);
          break;
        case "if":
        case "with": {
          const { value, variables: inner } = this.#pipeline(node.pipeline, dot, variables);
          if (isTrue(value)) this.#nodes(node.body, node.is === "with" ? value : dot, inner);
          else this.#nodes(node.otherwise, dot, inner);
          break;
        }
        default:
          throw new LoopSignal(node.is);
      }
    }
  }

  #range(node: Extract<Node, { is: "if" | "with" | "range" }>, dot: unknown, variables: Variables): void {
    const { commands, variables: names } = node.pipeline;
    const { value } = this.#pipeline({ commands, variables: [], assigns: false }, dot, variables);
    const entries = entriesOf(value);
    if (entries === undefined) {
      const first = commands[0]?.operands[0];
      throw first === undefined
        ? new TemplateError("execute", "range over nothing")
        : this.#error(first, `range can't iterate over ${goText(value)}`);
    }
    if (entries.length === 0) return this.#nodes(node.otherwise, dot, variables);
    for (const [key, item] of entries) {
      if (++this.#rounds > mostRounds) throw new TemplateError("execute", "the template's ranges do not end");
      const values = names.length === 2 ? [key, item] : [item];
      const inner = [...variables, ...names.map((name, i) => ({ name, value: values[i] }))];
      try {
        this.#nodes(node.body, item, inner);
      } catch (error) {
        if (!(error instanceof LoopSignal)) throw error;
        if (error.is === "break") return;
      }
    }
  }

  #pipeline(
    pipeline: Pipeline,
    dot: unknown,
    variables: Variables,
  ): { readonly value: unknown; readonly variables: Variables } {
    let value: unknown;
    for (const [index, command] of pipeline.commands.entries()) {
      value = this.#command(command, index === 0 ? [] : [value], { dot, variables });
    }
    const [name] = pipeline.variables;
    if (name === undefined) return { value, variables };
    if (!pipeline.assigns) return { value, variables: [...variables, { name, value }] };
    const target = variables.findLast((variable) => variable.name === name);
    if (target !== undefined) target.value = value;
    return { value, variables };
  }

  /** @param piped the value of the command before it, as last argument */
  #command(command: Command, piped: readonly unknown[], scope: Scope): unknown {
    const [first, ...others] = command.operands;
    const args = (): unknown[] => [...others.map((operand) => this.#operand(operand, [], scope)), ...piped];
    if (first.is === "function") return this.#call(first, command.source, args());
    if (first.is === "literal" || (others.length > 0 && !endsInField(first))) {
      if (others.length + piped.length > 0)
        throw this.#error(first, `can't give argument to non-function ${first.source}`);
    }
    return this.#operand(first, args(), scope);
  }

  #call(operand: Extract<Operand, { is: "function" }>, source: string, args: readonly unknown[]): unknown {
    const call = this.#functions[operand.name];
    try {
      return call?.(...args);
    } catch (error) {
      if (error instanceof TemplateError) throw error;
      throw this.#error(
        { ...operand, source },
        `error calling ${operand.name}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  #operand(operand: Operand, args: readonly unknown[], scope: Scope): unknown {
    switch (operand.is) {
      case "literal":
        return operand.value;
      case "function":
        return this.#call(operand, operand.source, args);
      case "dot":
        return this.#fields(operand, scope.dot, args);
      case "variable":
        return this.#fields(
          operand,
          scope.variables.findLast((variable) => variable.name === operand.name)?.value,
          args,
        );
      case "nested":
        return this.#fields(
          operand,
          this.#pipeline(operand.pipeline, scope.dot, scope.variables).value,
          args,
        );
    }
  }

  #fields(
    operand: Extract<Operand, { readonly fields: readonly string[] }>,
    start: unknown,
    args: readonly unknown[],
  ): unknown {
    let value = start;
    for (const [index, name] of operand.fields.entries()) {
      value = this.#field(operand, value, name);
      const isLast = index === operand.fields.length - 1;
      if (typeof value === "function")
        value = this.#method(operand, name, value as TemplateFunction, isLast ? args : []);
      else if (isLast && args.length > 0)
        throw this.#error(operand, `${name} has arguments but cannot be invoked as function`);
    }
    return value;
  }

  #field(operand: Operand, value: unknown, name: string): unknown {
    if (value instanceof Row) {
      if (Object.hasOwn(value.fields, name)) return value.fields[name];
      throw this.#error(operand, `can't evaluate field ${name} in type ${value.typeName}`);
    }
    if (isMap(value)) {
      if (Object.hasOwn(value, name)) return value[name];
      throw this.#error(operand, `map has no entry for key ${JSON.stringify(name)}`);
    }
    if (value === null || value === undefined)
      throw this.#error(operand, `nil pointer evaluating interface {}.${name}`);
    const type = Array.isArray(value)
      ? "[]interface {}"
      : typeof value === "number"
        ? "float64"
        : typeof value;
    throw this.#error(operand, `can't evaluate field ${name} in type ${type}`);
  }

  #method(operand: Operand, name: string, method: TemplateFunction, args: readonly unknown[]): unknown {
    if (args.length !== method.length)
      throw this.#error(
        operand,
        `wrong number of args for ${name}: want ${method.length} got ${args.length}`,
      );
    return method(...args);
  }

  #error(at: Operand, message: string): TemplateError {
    const source = at.source.length > 20 ? `${at.source.slice(0, 20)}...` : at.source;
    return new TemplateError(
      "execute",
      `template: :${at.line}:${at.column}: executing "" at <${source}>: ${message}`,
    );
  }
}

interface Scope {
  readonly dot: unknown;
  readonly variables: Variables;
}

const endsInField = (operand: Operand): boolean => "fields" in operand && operand.fields.length > 0;

function entriesOf(value: unknown): readonly (readonly [unknown, unknown])[] | undefined {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.map((item: unknown, i) => [i, item]);
  if (isMap(value))
    return Object.keys(value)
      .toSorted()
      .map((key) => [key, value[key]]);
  if (typeof value === "number" && value < mostRounds)
    return Array.from({ length: Math.max(0, value) }, (_, i) => [i, i]);
  return undefined;
}
