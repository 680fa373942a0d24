/** Reads fields of parsed JSON with the types that are wanted; a wrong type is an "invalid" error naming the field. */
import { GantryError } from "../../lib/index.ts";

/** Any JSON object. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #seen = new Set<string>();
  #byLowerCase: ReadonlyMap<string, string> | undefined;

  /** @param path what errors call this object, such as "HostConfig" */
  constructor(value: unknown, path: string) {
    if (value === undefined || value === null) this.#values = {};
    else if (typeof value === "object" && !Array.isArray(value)) this.#values = { ...value };
    else throw new GantryError("invalid", `invalid request: ${path || "the body"} must be an object`);
    this.#path = path;
  }

  #name(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }

  raw(key: string): unknown {
    const spelled = this.#spelled(key);
    this.#seen.add(spelled);
    const value = this.#values[spelled];
    return value === null ? undefined : value;
  }

  /** As Go reads JSON: a key that is not there as it is written is looked for in any case (docker-py: `detachKeys`). */
  #spelled(key: string): string {
    if (Object.hasOwn(this.#values, key)) return key;
    this.#byLowerCase ??= new Map(Object.keys(this.#values).map((name) => [name.toLowerCase(), name]));
    return this.#byLowerCase.get(key.toLowerCase()) ?? key;
  }

  #typed<T>(key: string, kind: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (!is(value)) throw new GantryError("invalid", `invalid request: ${this.#name(key)} must be ${kind}`);
    return value;
  }

  string(key: string, otherwise = ""): string {
    return this.#typed(key, "a string", (v): v is string => typeof v === "string") ?? otherwise;
  }

  boolean(key: string, otherwise = false): boolean {
    return this.#typed(key, "true or false", (v): v is boolean => typeof v === "boolean") ?? otherwise;
  }

  integer(key: string, otherwise = 0): number {
    return (
      this.#typed(key, "an integer", (v): v is number => typeof v === "number" && Number.isSafeInteger(v)) ??
      otherwise
    );
  }

  strings(key: string): readonly string[] {
    const value = this.raw(key);
    // Docker takes a bare string for Cmd and Entrypoint too.
    if (typeof value === "string") return [value];
    return this.#typed(key, "a list of strings", isStringArray) ?? [];
  }

  list(key: string): readonly Fields[] {
    const value = this.#typed(key, "a list", (v): v is unknown[] => Array.isArray(v)) ?? [];
    return value.map((item, index) => new Fields(item, `${this.#name(key)}[${index}]`));
  }

  object(key: string): Fields {
    return new Fields(this.raw(key), this.#name(key));
  }

  has(key: string): boolean {
    return this.raw(key) !== undefined;
  }

  keys(): readonly string[] {
    return Object.keys(this.#values);
  }

  /** A map of strings, such as labels. */
  stringMap(key: string): Readonly<Record<string, string>> {
    const fields = this.object(key);
    return Object.fromEntries(fields.keys().map((k) => [k, fields.string(k)]));
  }

  /** A set written as a map to empty objects, such as ExposedPorts. */
  set(key: string): Readonly<Record<string, object>> {
    return Object.fromEntries(
      this.object(key)
        .keys()
        .map((k) => [k, {}]),
    );
  }

  /**
   * Refuses every field that was not read and says something: what we do not do must not be accepted in silence.
   * Zero, false, "", empty lists and objects, -1 and "default" say nothing, since clients send them all the time.
   */
  refuseOthers(): void {
    for (const [key, value] of Object.entries(this.#values)) {
      if (this.#seen.has(key) || saysNothing(value)) continue;
      throw new GantryError(
        "unsupported",
        `${this.#name(key)} is not supported: ${JSON.stringify(value).slice(0, 120)}`,
        {
          hint: "leave the option away",
        },
      );
    }
  }
}

function isStringArray(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function saysNothing(value: unknown): boolean {
  if (value === null || value === 0 || value === -1 || value === false || value === "" || value === "default")
    return true;
  if (Array.isArray(value)) return value.every(saysNothing);
  return typeof value === "object" && Object.values(value).every(saysNothing);
}
