/** Values in templates, and how Go prints, compares and counts them. Pure. */

/** What a method of a row may be: a value, or a function of arguments (`{{.Label "x"}}`). */
export type RowField = unknown;

/** One line of a listing: fields by name, and the type name that error messages show. */
export class Row {
  readonly typeName: string;
  readonly fields: Readonly<Record<string, RowField>>;

  constructor(typeName: string, fields: Readonly<Record<string, RowField>>) {
    this.typeName = typeName;
    this.fields = fields;
  }

  /** What `{{json .}}` prints: every field that needs no argument, by name. */
  toJSON(): Record<string, unknown> {
    const names = Object.keys(this.fields).filter((name) => typeof this.fields[name] !== "function");
    return Object.fromEntries(names.toSorted().map((name) => [name, this.fields[name]]));
  }
}

export type GoMap = Readonly<Record<string, unknown>>;

export function isMap(value: unknown): value is GoMap {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Row);
}

/** JSON with the escapes of Go's encoder. */
export function goJson(value: unknown, indent?: string): string {
  return (JSON.stringify(value, undefined, indent) ?? "null").replaceAll(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** %v. A null is nearly always a list without entries in the engine's answers, which Go prints as []. */
export function goText(value: unknown): string {
  if (value === undefined) return "<no value>";
  if (value === null) return "[]";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return `[${value.map(goText).join(" ")}]`;
  if (value instanceof Row) return goText(value.toJSON());
  if (isMap(value)) {
    const entries = Object.keys(value)
      .toSorted()
      .map((key) => `${key}:${goText(value[key])}`);
    return `map[${entries.join(" ")}]`;
  }
  return String(value);
}

/** False for false, 0, "", nothing and what has no entries. */
export function isTrue(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 0 || value === "") return false;
  if (Array.isArray(value)) return value.length > 0;
  return isMap(value) ? Object.keys(value).length > 0 : true;
}
