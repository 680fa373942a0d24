/** PAX extended headers: records `LENGTH KEY=VALUE\n` (POSIX pax, "pax Extended Header"). Values are bytes. */
import { GantryError } from "./errors.ts";
import { decodeName } from "./tar-header.ts";

export type PaxRecords = ReadonlyMap<string, Uint8Array>;

/** A record list that keeps order and repeats, which GNU sparse maps of version 0.0 need. */
export type PaxList = readonly (readonly [key: string, value: Uint8Array])[];

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
  const body = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
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
