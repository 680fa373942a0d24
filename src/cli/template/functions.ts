/** The functions of docker's templates: those of Go's text/template and docker's own. Pure. */
import { goJson, goText, isMap, isTrue } from "./value.ts";

export type TemplateFunction = (...args: readonly unknown[]) => unknown;

const text = (value: unknown): string => {
  if (typeof value !== "string")
    throw new Error(`wrong type for value; expected string; got ${typeName(value)}`);
  return value;
};

function typeName(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  if (isMap(value)) return "map[string]interface {}";
  return typeof value === "number" ? "float64" : typeof value === "boolean" ? "bool" : typeof value;
}

/** The functions that docker adds. */
const docker: Readonly<Record<string, TemplateFunction>> = {
  json: (value) => goJson(value),
  lower: (value) => text(value).toLowerCase(),
  upper: (value) => text(value).toUpperCase(),
  title: (value) => text(value).replaceAll(/(?<![\p{L}\p{N}_'])\p{L}/gu, (letter) => letter.toUpperCase()),
  split: (value, separator) => text(value).split(text(separator)),
  join: (list, separator) => (Array.isArray(list) ? list.map(goText) : []).join(text(separator)),
  pad: (value, left, right) => (text(value) === "" ? "" : spaces(left) + text(value) + spaces(right)),
  truncate: (value, length) => text(value).slice(0, Number(length)),
};

const builtin: Readonly<Record<string, TemplateFunction>> = {
  and: (...args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1),
  or: (...args) => args.find(isTrue) ?? args.at(-1),
  not: (value) => !isTrue(value),
  len: lengthOf,
  index: indexInto,
  slice: sliceOf,
  print: (...args) => printed(args),
  printf: (format, ...args) => formatted(text(format), args),
  println: (...args) => `${args.map(goText).join(" ")}\n`,
  eq: (first, ...others) => {
    if (others.length === 0) throw new Error("missing argument for comparison");
    return others.some((other) => same(first, other));
  },
  ne: (a, b) => !same(a, b),
  lt: (a, b) => before(a, b),
  le: (a, b) => before(a, b) || same(a, b),
  gt: (a, b) => !before(a, b) && !same(a, b),
  ge: (a, b) => !before(a, b),
};

export const templateFunctions: Readonly<Record<string, TemplateFunction>> = { ...docker, ...builtin };

/** For the line of column names: docker's own functions leave the names as they are. */
export const headerFunctions: Readonly<Record<string, TemplateFunction>> = {
  ...builtin,
  ...Object.fromEntries(Object.keys(docker).map((name) => [name, (value: unknown): unknown => value])),
};

function lengthOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (value === null) return 0;
  if (isMap(value)) return Object.keys(value).length;
  throw new Error(`len of type ${typeName(value)}`);
}

function indexInto(value: unknown, ...path: readonly unknown[]): unknown {
  let item = value;
  for (const key of path) {
    if (item === null || item === undefined) throw new Error("index of untyped nil");
    if (isMap(item)) {
      // A key that is not there gives the type's zero value; for the strings of labels that is "".
      item = Object.hasOwn(item, goText(key)) ? item[goText(key)] : "";
      continue;
    }
    const list: string | readonly unknown[] | undefined =
      typeof item === "string" || Array.isArray(item) ? item : undefined;
    if (list === undefined) throw new Error(`can't index item of type ${typeName(item)}`);
    const at = Number(key);
    if (!Number.isInteger(at)) throw new Error(`cannot index slice/array with type ${typeName(key)}`);
    if (at < 0 || at >= list.length) throw new Error(`index out of range: ${at}`);
    item = typeof list === "string" ? list.charCodeAt(at) : list[at];
  }
  return item;
}

function sliceOf(value: unknown, from: unknown = 0, to?: unknown): unknown {
  if (typeof value !== "string" && !Array.isArray(value))
    throw new Error(`can't slice item of type ${typeName(value)}`);
  const end = to === undefined ? value.length : Number(to);
  for (const at of [Number(from), end]) {
    if (at < 0 || at > value.length) throw new Error(`index out of range: ${at}`);
  }
  if (Number(from) > end) throw new Error(`invalid slice index: ${Number(from)} > ${end}`);
  return value.slice(Number(from), end);
}

/** fmt.Sprint: a space between two operands of which neither is a string. */
function printed(args: readonly unknown[]): string {
  return args
    .map((arg, i) =>
      i > 0 && typeof arg !== "string" && typeof args[i - 1] !== "string" ? ` ${goText(arg)}` : goText(arg),
    )
    .join("");
}

const verbs = /%(?<flags>[-+ 0#]*)(?<width>\d+)?(?:\.(?<precision>\d+))?(?<verb>[a-zA-Z%])/g;

/** The widest cell that a template may ask for. */
const widest = 10_000;

const spaces = (count: unknown): string => " ".repeat(Math.min(widest, Math.max(0, Number(count))));

function formatted(format: string, args: readonly unknown[]): string {
  let output = "";
  let at = 0;
  let used = 0;
  for (const match of format.matchAll(verbs)) {
    const { flags = "", width = "0", precision, verb = "" } = match.groups ?? {};
    output += format.slice(at, match.index);
    at = match.index + match[0].length;
    if (verb === "%") output += "%";
    else if (used >= args.length) output += `%!${verb}(MISSING)`;
    else {
      const body = formatOne(verb, precision, args[used++]);
      const columns = Math.min(widest, Number(width));
      output += flags.includes("-")
        ? body.padEnd(columns)
        : body.padStart(columns, flags.includes("0") ? "0" : " ");
    }
  }
  return output + format.slice(at);
}

function formatOne(verb: string, precision: string | undefined, value: unknown): string {
  switch (verb) {
    case "s":
    case "v":
      return precision === undefined ? goText(value) : goText(value).slice(0, Number(precision));
    case "q":
      return JSON.stringify(goText(value));
    case "d":
      return String(Math.trunc(Number(value)));
    case "x":
      return typeof value === "string" ? Buffer.from(value).toString("hex") : Number(value).toString(16);
    case "f":
      return Number(value).toFixed(Math.min(100, Number(precision ?? 6)));
    case "t":
      return String(value);
    default:
      return `%!${verb}(${goText(value)})`;
  }
}

function same(a: unknown, b: unknown): boolean {
  if (typeof a !== typeof b && a !== null && b !== null) throw new Error("incompatible types for comparison");
  return a === b;
}

function before(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") return a < b;
  if (typeof a === "string" && typeof b === "string") return a < b;
  throw new Error(
    typeof a === typeof b ? "invalid type for comparison" : "incompatible types for comparison",
  );
}
