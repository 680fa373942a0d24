/** PAX extended headers: records `LENGTH KEY=VALUE\n` (POSIX pax, "pax Extended Header"). Values are bytes. */
import { GantryError } from "./errors.ts";
import { decodeName, encodeName } from "./tar-name.ts";

export type PaxRecords = ReadonlyMap<string, Uint8Array>;

/** A record list that keeps order and repeats, which GNU sparse maps of version 0.0 need. */
export type PaxList = readonly (readonly [key: string, value: Uint8Array])[];

/** Most entries have no records at all. */
const nothing: PaxRecords = new Map();

/** @throws {GantryError} "corrupt" */
export function parsePax(bytes: Uint8Array): PaxList {
  const list: [string, Uint8Array][] = [];
  let at = 0;
  while (at < bytes.length && bytes[at] !== 0) {
    const space = bytes.indexOf(0x20, at);
    const digits =
      space < 0 || space - at > 10 ? "" : Buffer.from(bytes.subarray(at, space)).toString("latin1");
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, space + 1);
    if (
      !/^[0-9]+$/.test(digits) ||
      end > bytes.length ||
      bytes[end - 1] !== 0x0a ||
      equals < 0 ||
      equals >= end
    ) {
      throw new GantryError("corrupt", "malformed PAX header in the archive");
    }
    list.push([decodeName(bytes.subarray(space + 1, equals)), bytes.slice(equals + 1, end - 1)]);
    at = end;
  }
  return list;
}

/** One record; its length counts its own digits. */
function formatRecord(key: string, value: Uint8Array): Buffer {
  const body = Buffer.concat([encodeName(` ${key}=`), value, Buffer.from("\n")]);
  let length = body.length + String(body.length).length;
  if (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

export function formatPax(records: PaxRecords): Uint8Array {
  return Buffer.concat([...records].map(([key, value]) => formatRecord(key, value)));
}

/** A decimal number with an optional fraction, in billionths: `1350244992.023960108`. */
export function parsePaxTime(value: Uint8Array): bigint {
  const text = Buffer.from(value).toString("latin1");
  const match = /^(-?)([0-9]{1,18})(?:\.([0-9]{0,30}))?$/.exec(text);
  if (match === null)
    throw new GantryError("corrupt", `malformed time in a PAX header: ${JSON.stringify(text.slice(0, 40))}`);
  const nanos =
    BigInt(match[2] ?? "0") * 1_000_000_000n + BigInt((match[3] ?? "").padEnd(9, "0").slice(0, 9));
  return match[1] === "-" ? -nanos : nanos;
}

export function formatPaxTime(nanos: bigint): string {
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = (size % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  return `${nanos < 0n ? "-" : ""}${size / 1_000_000_000n}${fraction === "" ? "" : `.${fraction}`}`;
}

/**
 * Records by key, later ones over earlier ones. One with an empty value takes away what earlier ones said.
 */
export function paxMap(list: PaxList): PaxRecords {
  if (list.length === 0) return nothing;
  const map = new Map<string, Uint8Array>();
  for (const [key, value] of list) {
    if (value.length > 0) map.set(key, value);
    else map.delete(key);
  }
  return map;
}

/** A whole number of a PAX record. @throws {GantryError} "corrupt" */
export function parsePaxNumber(value: Uint8Array): number {
  const text = Buffer.from(value).toString("latin1");
  const number = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number)) {
    throw new GantryError(
      "corrupt",
      `malformed number in a PAX header: ${JSON.stringify(text.slice(0, 40))}`,
    );
  }
  return number;
}

/** An attribute's name inside a PAX keyword, which may not hold "=": escaped as GNU tar does. */
export function escapeXattr(name: string): string {
  return name.replaceAll("%", "%25").replaceAll("=", "%3D");
}

export function unescapeXattr(name: string): string {
  return name.replaceAll("%3D", "=").replaceAll("%25", "%");
}

const schilyPrefix = "SCHILY.xattr.";
const libarchivePrefix = "LIBARCHIVE.xattr.";

/**
 * Extended attributes among PAX records. libarchive writes each twice, star's way and its own (name by percent, value in
 * base64); star's is taken where both are there. An empty attribute is one, although POSIX lets an empty value delete a record.
 */
export function xattrsOf(list: PaxList): ReadonlyMap<string, Uint8Array> {
  if (list.length === 0) return nothing;
  const found = new Map<string, Uint8Array>();
  for (const [key, value] of list) {
    if (!key.startsWith(libarchivePrefix)) continue;
    const name = percentDecoded(key.slice(libarchivePrefix.length));
    found.set(name, Buffer.from(Buffer.from(value).toString("latin1"), "base64"));
  }
  for (const [key, value] of list)
    if (key.startsWith(schilyPrefix)) found.set(unescapeXattr(key.slice(schilyPrefix.length)), value);
  return found;
}

function percentDecoded(text: string): string {
  const bytes = encodeName(text).toString("latin1");
  const plain = bytes.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  return decodeName(Buffer.from(plain, "latin1"));
}
