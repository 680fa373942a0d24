/**
 * Checks of a parsed JSON value that collect every finding instead of stopping at the first. A rule checks one value that
 * is there; tables of rules describe an object. Pure.
 */

export interface Finding {
  /** Such as `linux.namespaces[2].type`. */
  readonly path: string;
  /** What would be right: "must be an absolute path". */
  readonly problem: string;
}

/** One value of the config. A check that finds something says so once and lets the others go on. */
export class Checked {
  readonly value: unknown;
  readonly #parent: Checked | string;
  readonly #key: string | number;
  readonly #findings: Finding[];

  /** `parent`: the value that this is a part of, or the path of a whole. */
  constructor(value: unknown, parent: Checked | string, findings: Finding[], key: string | number = "") {
    this.value = value;
    this.#parent = parent;
    this.#key = key;
    this.#findings = findings;
  }

  /** Put together only when something is found. */
  get path(): string {
    if (typeof this.#parent === "string") return this.#parent;
    const before = this.#parent.path;
    if (typeof this.#key === "number") return `${before}[${this.#key}]`;
    const key = /^[A-Za-z_][\w-]*$/.test(this.#key) ? this.#key : JSON.stringify(this.#key);
    return before === "" ? key : `${before}.${key}`;
  }

  get isMissing(): boolean {
    return this.value === undefined;
  }

  found(problem: string): false {
    this.#findings.push({ path: this.path, problem });
    return false;
  }

  field(name: string): Checked {
    const inner: unknown = isObject(this.value) && hasOwn(this.value, name) ? this.value[name] : undefined;
    // JSON `null` is what Go programs write for an empty list or pointer: as good as missing.
    return new Checked(inner ?? undefined, this, this.#findings, name);
  }

  /** The elements; none when it is no list. */
  get items(): readonly Checked[] {
    const values: readonly unknown[] = Array.isArray(this.value) ? this.value : [];
    return values.map((value, index) => new Checked(value ?? undefined, this, this.#findings, index));
  }

  /** The names in an object; none when it is no object. */
  get keys(): readonly string[] {
    return isObject(this.value) ? Object.keys(this.value) : [];
  }

  /** The number, when it is one. */
  get number(): number | undefined {
    return typeof this.value === "number" ? this.value : undefined;
  }

  /** The text; empty when it is none. */
  get text(): string {
    return typeof this.value === "string" ? this.value : "";
  }
}

/**
 * Checks a value that is there. False when it is not of its type, and further checks of it make no sense. `passes` says
 * the same without words and without a Checked: nearly all values of nearly all configs are right, and a filter has
 * hundreds of them.
 */
export interface Rule {
  (at: Checked): boolean;
  readonly passes?: (value: unknown) => boolean;
}

function ruleOf(passes: (value: unknown) => boolean, problem: (value: unknown) => string): Rule {
  return Object.assign((at: Checked) => passes(at.value) || at.found(problem(at.value)), { passes });
}

const isText = (value: unknown): value is string => typeof value === "string" && !value.includes("\0");
const textProblem = (value: unknown): string =>
  typeof value === "string" ? "must not hold a NUL byte" : "must be a text";

/** A text with a further demand. */
function textRule(demand: (value: string) => boolean, problem: string): Rule {
  return ruleOf(
    (value) => isText(value) && demand(value),
    (value) => (isText(value) ? problem : textProblem(value)),
  );
}

export const text: Rule = ruleOf(isText, textProblem);

export const filled: Rule = textRule((value) => value !== "", "must not be empty");

export const boolean: Rule = ruleOf(
  (value) => typeof value === "boolean",
  () => "must be true or false",
);

/** A whole number in a range. */
export function integer(low: number, high: number): Rule {
  return ruleOf(
    (value) => typeof value === "number" && Number.isInteger(value) && value >= low && value <= high,
    (value) => (Number.isInteger(value) ? `must be from ${low} to ${high}` : "must be a whole number"),
  );
}

// JSON numbers above 2^53 come rounded, up to 2^63 and 2^64.
export const int64 = integer(-(2 ** 63), 2 ** 63);
export const uint64 = integer(0, 2 ** 64);
export const uint32 = integer(0, 0xffff_ffff);
export const uint16 = integer(0, 0xffff);

export const absolutePath: Rule = textRule((value) => value.startsWith("/"), "must be an absolute path");

export function oneOf(words: readonly string[]): Rule {
  return textRule((value) => words.includes(value), `must be one of: ${words.join(", ")}`);
}

export function matching(pattern: RegExp, what: string): Rule {
  return textRule((value) => pattern.test(value), `must be ${what}`);
}

export function listOf(rule: Rule, problemWhenEmpty?: string): Rule {
  const itemPasses = rule.passes;
  const mayBeEmpty = problemWhenEmpty === undefined;
  const check = (at: Checked): boolean => {
    if (!Array.isArray(at.value)) return at.found("must be a list");
    for (const item of at.items) checkItem(item, rule);
    return at.value.length > 0 || mayBeEmpty || at.found(problemWhenEmpty ?? "");
  };
  if (itemPasses === undefined) return check;
  const passes = (value: unknown): boolean =>
    Array.isArray(value) && (mayBeEmpty || value.length > 0) && value.every((item) => itemPasses(item));
  return Object.assign((at: Checked) => passes(at.value) || check(at), { passes });
}

function checkItem(item: Checked, rule: Rule): void {
  if (item.isMissing) item.found("must not be null");
  else rule(item);
}

/** An object used as a map. */
export function mapOf(rule: Rule): Rule {
  return (at) => {
    if (!isObject(at.value)) return at.found("must be an object");
    for (const key of at.keys) checkItem(at.field(key), rule);
    return true;
  };
}

/** An object with known fields. Unknown ones are ignored, as the specification wants. */
export function object(
  fields: Readonly<Record<string, Rule>>,
  required: readonly string[] = [],
  further?: (at: Checked) => void,
): Rule {
  const table = Object.entries(fields);
  return (at) => {
    const { value } = at;
    if (!isObject(value)) return at.found("must be an object");
    for (const [name, rule] of table) {
      const inner = hasOwn(value, name) ? (value[name] ?? undefined) : undefined;
      if (inner === undefined) {
        if (required.includes(name)) at.field(name).found("is required");
      } else if (rule.passes?.(inner) !== true) rule(at.field(name));
    }
    further?.(at);
    return true;
  };
}

/** Several rules for one value, each of which needs the one before. */
export function all(...rules: readonly Rule[]): Rule {
  return (at) => rules.every((rule) => rule(at));
}

/** Finds values that stand in a list more than once: `field` of each item. */
export function findTwice(list: Checked, field: string): void {
  const seen = new Set<unknown>();
  for (const item of list.items) {
    const at = item.field(field);
    if (seen.has(at.value)) at.found("stands in the list twice");
    if (!at.isMissing) seen.add(at.value);
  }
}

/** A list of numbers such as `0-2,4`; empty is none. */
export const numberList = matching(/^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?\s*$/, "a list such as 0-2,4");

function hasOwn(value: object, name: string): boolean {
  return Object.prototype.hasOwnProperty.call(value, name);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
