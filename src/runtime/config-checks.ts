/** Checks of a parsed JSON value that collect every finding instead of stopping at the first. Pure. */

export interface Finding {
  /** Such as `linux.namespaces[2].type`. */
  readonly path: string;
  /** What would be right: "must be an absolute path". */
  readonly problem: string;
}

/** One value of the config at its path. A check that finds something says so once and lets the others go on. */
export class Checked {
  readonly value: unknown;
  readonly path: string;
  readonly #findings: Finding[];

  constructor(value: unknown, path: string, findings: Finding[]) {
    this.value = value;
    this.path = path;
    this.#findings = findings;
  }

  get isMissing(): boolean {
    return this.value === undefined;
  }

  found(problem: string): void {
    this.#findings.push({ path: this.path, problem });
  }

  field(name: string): Checked {
    const inner: unknown = isObject(this.value) ? this.value[name] : undefined;
    const path = /^[A-Za-z_][\w-]*$/.test(name) ? name : JSON.stringify(name);
    // JSON `null` is what Go programs write for an empty list or pointer: as good as missing.
    return new Checked(inner ?? undefined, this.path === "" ? path : `${this.path}.${path}`, this.#findings);
  }

  /** True when it is an object; a missing one is reported only if it is required. */
  object(required = false): boolean {
    if (this.isMissing && !required) return false;
    return this.#require(
      isObject(this.value),
      required && this.isMissing ? "is required" : "must be an object",
    );
  }

  /** The elements; none when it is missing or no list. */
  list(): readonly Checked[] {
    if (this.isMissing || !this.#require(Array.isArray(this.value), "must be a list")) return [];
    const values: readonly unknown[] = Array.isArray(this.value) ? this.value : [];
    return values.map(
      (value, index) => new Checked(value ?? undefined, `${this.path}[${index}]`, this.#findings),
    );
  }

  /** The values of an object used as a map. */
  entries(): readonly (readonly [key: string, value: Checked])[] {
    if (!this.object()) return [];
    return Object.keys(isObject(this.value) ? this.value : {}).map((key) => [key, this.field(key)]);
  }

  /** The text, when it is one. */
  text(required = false): string | undefined {
    if (this.isMissing && !required) return undefined;
    if (!this.#require(typeof this.value === "string", this.isMissing ? "is required" : "must be a text"))
      return undefined;
    const text = String(this.value);
    return this.#require(!text.includes("\0"), "must not hold a NUL byte") ? text : undefined;
  }

  absolutePath(required = false): void {
    const text = this.text(required);
    if (text !== undefined) this.#require(text.startsWith("/"), "must be an absolute path");
  }

  /** A whole number in a range. */
  integer(low: number, high: number, required = false): void {
    if (this.isMissing && !required) return;
    const { value } = this;
    if (value === undefined) this.found("is required");
    else if (typeof value !== "number" || !Number.isInteger(value)) this.found("must be a whole number");
    else if (value < low || value > high) this.found(`must be from ${low} to ${high}`);
  }

  boolean(): void {
    if (!this.isMissing) this.#require(typeof this.value === "boolean", "must be true or false");
  }

  oneOf(words: readonly string[], required = false): void {
    const text = this.text(required);
    if (text !== undefined) this.#require(words.includes(text), `must be one of: ${words.join(", ")}`);
  }

  matches(pattern: RegExp, what: string, required = false): void {
    const text = this.text(required);
    if (text !== undefined) this.#require(pattern.test(text), `must be ${what}`);
  }

  #require(ok: boolean, problem: string): boolean {
    if (!ok) this.found(problem);
    return ok;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
