/** The `filters` query parameter of the listing, prune and event calls. Pure. */
import { GantryError } from "../../lib/index.ts";

/** More values than any client sends; a bound for what one request may cost. */
const mostValues = 1000;

/** What a client asked for: values of one name are alternatives, different names must all hold. */
export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  values(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** True when there is no such filter or one of its values fits. */
  some(name: string, fits: (value: string) => boolean): boolean {
    const values = this.#values.get(name);
    return values === undefined || values.some(fits);
  }

  /** `label=key` and `label=key=value` must all hold, `label!=…` none of them. */
  labels(labels: Readonly<Record<string, string>>): boolean {
    return (
      this.values("label").every((wish) => hasLabel(labels, wish)) &&
      !this.values("label!").some((wish) => hasLabel(labels, wish))
    );
  }

  /**
   * The one value of a yes-or-no filter; undefined when it is not there.
   * @throws {GantryError} "invalid" for anything but 1, 0, true, false
   */
  flag(name: string): boolean | undefined {
    const values = this.#values.get(name);
    if (values === undefined) return undefined;
    const flags = new Set(values.map((value) => parseFlag(name, value)));
    const [flag, other] = flags;
    if (flag === undefined || other !== undefined) throw invalid(`${name}=[${values.join(" ")}]`);
    return flag;
  }

  /** The only value of a filter; undefined when it is not there. @throws {GantryError} "invalid" for several */
  one(name: string): string | undefined {
    const values = this.#values.get(name);
    if (values === undefined) return undefined;
    if (values.length !== 1) throw invalid(`${name}: one value is wanted`);
    return values[0];
  }
}

function hasLabel(labels: Readonly<Record<string, string>>, wish: string): boolean {
  const at = wish.indexOf("=");
  const key = at < 0 ? wish : wish.slice(0, at);
  if (!Object.hasOwn(labels, key)) return false;
  return at < 0 || labels[key] === wish.slice(at + 1);
}

function parseFlag(name: string, value: string): boolean {
  if (["1", "true", "True", "TRUE", "t", "T"].includes(value)) return true;
  if (["0", "false", "False", "FALSE", "f", "F"].includes(value)) return false;
  throw invalid(`${name}=[${value}]`);
}

function invalid(what: string): GantryError {
  return new GantryError("invalid", `invalid filter '${what}'`);
}

/**
 * Reads both spellings: `{"name": ["a"]}` and the old `{"name": {"a": true}}`.
 * @param known every filter that the call has; another one is refused as dockerd does
 * @throws {GantryError} "invalid"
 */
export function parseFilters(text: string | null, known: readonly string[]): Filters {
  const values = new Map<string, readonly string[]>();
  if (text === null || text.trim() === "") return new Filters(values);
  for (const [name, list] of Object.entries(parseObject(text))) {
    if (!known.includes(name))
      throw new GantryError("invalid", `invalid filter '${name}'`, { hint: `one of: ${known.join(" ")}` });
    values.set(name, valuesOf(name, list));
  }
  return new Filters(values);
}

function parseObject(text: string): object {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new GantryError("invalid", "invalid filter: not JSON", { cause: error });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw invalid(text.slice(0, 100));
  return parsed;
}

function valuesOf(name: string, list: unknown): readonly string[] {
  const values: unknown[] = Array.isArray(list)
    ? list
    : typeof list === "object" && list !== null
      ? Object.keys(list)
      : [list];
  if (values.length > mostValues) throw invalid(`${name}: more than ${mostValues} values`);
  return values.map((value) => {
    if (typeof value !== "string") throw invalid(name);
    return value;
  });
}

/** A filter on names takes a regular expression, as in dockerd; one that is malformed is compared as text. */
export function fitsName(pattern: string, name: string): boolean {
  if (name.includes(pattern)) return true;
  // A pattern of a client must not cost more than a glance: long ones and nested repetition are text.
  if (pattern.length > 200 || /[*+}]\)?[*+{]|\([^)]*[*+][^)]*\)[*+{]/.test(pattern)) return false;
  try {
    return new RegExp(pattern).test(name);
  } catch (error) {
    // SyntaxError: not a regular expression, and as text it did not fit.
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
