/**
 * JSON as Go's encoder writes it, which is what readers of runc's output were tested with: `<`, `>` and `&` escaped, and
 * counters of 64 bits in full, which a JavaScript number cannot hold. Pure.
 */

/** A value that goes into JSON. bigint: written as a plain number; undefined in an object: left out. */
export type Json =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** @param indent one level, such as a tab; without it all stands on one line */
export function jsonText(value: Json, indent = ""): string {
  return escapeAsGo(write(value, indent, indent === "" ? "" : "\n"));
}

/** @param json in which such a sign stands only within a string: all at once, because there are thousands of strings in a list */
export function escapeAsGo(json: string): string {
  return signs.some((sign) => json.includes(sign)) ? json.replace(/[<>&\u2028\u2029]/g, escapeOf) : json;
}

function write(value: Json, indent: string, line: string): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return JSON.stringify(base64(value));
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = line + indent;
  if (isList(value))
    return wrap(
      "[]",
      line,
      inner,
      value.map((item) => write(item, indent, inner)),
    );
  const colon = indent === "" ? ":" : ": ";
  const fields: string[] = [];
  for (const [key, item] of Object.entries(value))
    if (item !== undefined) fields.push(`${JSON.stringify(key)}${colon}${write(item, indent, inner)}`);
  return wrap("{}", line, inner, fields);
}

/** Array.isArray does not narrow readonly arrays. */
function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}

function wrap(braces: "[]" | "{}", line: string, inner: string, items: readonly string[]): string {
  if (items.length === 0) return braces;
  return `${braces[0] ?? ""}${inner}${items.join(`,${inner}`)}${line}${braces[1] ?? ""}`;
}

const escapes: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

const signs = Object.keys(escapes);

function escapeOf(sign: string): string {
  return escapes[sign] ?? sign;
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** RFC 4648. The host has no btoa and no Uint8Array.toBase64. */
export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const all = (a << 16) | (b << 8) | c;
    const left = bytes.length - at;
    for (const [index, shift] of [18, 12, 6, 0].entries())
      text += index > left ? "=" : (digits[(all >> shift) & 63] ?? "");
  }
  return text;
}
