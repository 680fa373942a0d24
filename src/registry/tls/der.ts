/** The few kinds of DER (X.690) that a certificate request needs. Pure. */

const tags = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  sequence: 0x30,
  set: 0x31,
} as const;

export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(body.length)]), body]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

export const sequence = (...items: readonly Uint8Array[]): Uint8Array => der(tags.sequence, ...items);
export const set = (...items: readonly Uint8Array[]): Uint8Array => der(tags.set, ...items);
export const utf8 = (text: string): Uint8Array => der(tags.utf8, Buffer.from(text));
export const octets = (bytes: Uint8Array): Uint8Array => der(tags.octetString, bytes);
export const bits = (bytes: Uint8Array): Uint8Array => der(tags.bitString, Buffer.from([0]), bytes);
/** Small whole numbers only. */
export const integer = (value: number): Uint8Array => der(tags.integer, Buffer.from([value]));

/** `1.2.840.10045.4.3.2` */
export function oid(text: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  return der(tags.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}
