/** Annotations `org.systemd.property.NAME` as properties of the unit; values as `systemctl show` of D-Bus writes them. Pure. */
import { GantryError } from "../lib/index.ts";
import type { DbusVariant } from "./dbus-wire.ts";
import type { UnitProperty } from "./systemd-properties.ts";

const prefix = "org.systemd.property.";
const numberTypes: Readonly<Record<string, string>> = {
  byte: "y",
  int16: "n",
  uint16: "q",
  int32: "i",
  uint32: "u",
  int64: "x",
  uint64: "t",
  double: "d",
};

/** @throws {GantryError} "invalid" naming the annotation */
export function annotationProperties(
  annotations: Readonly<Record<string, string>> = {},
): readonly UnitProperty[] {
  return Object.entries(annotations)
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => {
      const name = key.slice(prefix.length);
      if (!/^[A-Z][A-Za-z]{2,}$/.test(name))
        throw invalid(key, `${JSON.stringify(name)} is not a name of systemd's`);
      const parsed = parseVariant(value.trim());
      if (parsed === undefined)
        throw invalid(
          key,
          `${JSON.stringify(value)} is not a value such as 'text', true, 5, uint64 5 or ['a', 'b']`,
        );
      return inMicroseconds(key, name, parsed);
    });
}

/** systemd.unit(5) counts in seconds; the D-Bus properties are in microseconds and end in USec. */
function inMicroseconds(key: string, name: string, value: DbusVariant): UnitProperty {
  if (!name.endsWith("Sec") || name.endsWith("USec")) return [name, value];
  const seconds = Number(value.value);
  if (!"ynqiuxtd".includes(value.signature) || !(seconds >= 0)) throw invalid(key, "not a number of seconds");
  const micro = BigInt(Math.round(seconds * 1_000_000));
  return [`${name.slice(0, -"Sec".length)}USec`, { signature: "t", value: micro }];
}

function parseVariant(word: string): DbusVariant | undefined {
  const quoted = /^(?:'([^']*)'|"([^"]*)")$/.exec(word);
  if (quoted !== null) return { signature: "s", value: quoted[1] ?? quoted[2] ?? "" };
  if (word === "true" || word === "false") return { signature: "b", value: word === "true" };
  const typed = /^([a-z0-9]+)\s+(\S+)$/.exec(word);
  const type = typed === null ? undefined : numberTypes[typed[1] ?? ""];
  if (typed !== null) return type === undefined ? undefined : parseNumber(typed[2] ?? "", type);
  if (word.startsWith("[")) return parseList(word);
  return parseNumber(word, word.includes(".") ? "d" : "i");
}

function parseNumber(word: string, signature: string): DbusVariant | undefined {
  if (signature === "d") return /^-?\d+(\.\d+)?$/.test(word) ? { signature, value: Number(word) } : undefined;
  return /^-?(\d{1,20}|0x[0-9a-f]{1,16})$/i.test(word) ? { signature, value: BigInt(word) } : undefined;
}

function parseList(word: string): DbusVariant | undefined {
  if (!/^\[\s*(('[^']*'|"[^"]*")\s*(,\s*('[^']*'|"[^"]*")\s*)*)?\]$/.test(word)) return undefined;
  const items = word.match(/'[^']*'|"[^"]*"/g) ?? [];
  return { signature: "as", value: items.map((item) => item.slice(1, -1)) };
}

function invalid(key: string, why: string): GantryError {
  return new GantryError("invalid", `annotations.${key}: ${why}`, { fields: { path: `annotations.${key}` } });
}
