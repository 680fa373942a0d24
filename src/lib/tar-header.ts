/** The 512 bytes of a tar header: POSIX ustar with the base-256 numbers and the fields of GNU tar. */
import { GantryError } from "./errors.ts";
import { blockSize } from "./tar-entry.ts";
import { decodeName, encodeName } from "./tar-name.ts";

/** A header as it stands in its block, before extended headers are applied. */
export interface RawHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  /** One character. */
  readonly typeflag: string;
  readonly linkName: string;
  readonly devMajor: number;
  readonly devMinor: number;
}

function fieldText(block: Uint8Array, offset: number, length: number): string {
  let end = offset;
  while (end < offset + length && block[end] !== 0) end++;
  return end === offset ? "" : decodeName(block.subarray(offset, end));
}

/** A number field: octal text, or base-256 (first bit set) as GNU and star write large and negative ones. */
export function parseNumber(block: Uint8Array, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) return parseBase256(block, offset, length);
  let text = "";
  for (let i = offset; i < offset + length; i++) {
    const byte = block[i] ?? 0;
    // Some writers fill up from the left, with NUL.
    if (byte === 0 && text === "") continue;
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  text = text.trim();
  if (text === "") return 0;
  if (!/^[0-7]+$/.test(text))
    throw new GantryError("corrupt", `invalid number in a tar header: ${JSON.stringify(text)}`);
  return safe(BigInt(`0o${text}`));
}

function parseBase256(block: Uint8Array, offset: number, length: number): number {
  let value = BigInt((block[offset] ?? 0) & 0x7f);
  const negative = (value & 0x40n) !== 0n;
  for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(block[offset + i] ?? 0);
  return safe(negative ? value - (1n << BigInt(8 * length - 1)) : value);
}

function safe(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new GantryError("corrupt", `number out of range in a tar header: ${value}`);
  return number;
}

/** The sum of a header's bytes, its own field counted as spaces. */
function checksum(block: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < blockSize; i++) sum += block[i] ?? 0;
  for (let i = 148; i < 156; i++) sum -= block[i] ?? 0;
  return sum;
}

/** As some old writers had it, with bytes of -128 to 127. */
function signedChecksum(block: Uint8Array): number {
  return block.reduce(
    (sum, byte, i) => (byte > 127 && (i < 148 || i >= 156) ? sum - 256 : sum),
    checksum(block),
  );
}

/** The checksum that a header claims to have; undefined when there is no number, as in what is no tar archive at all. */
function statedChecksum(block: Uint8Array): number | undefined {
  try {
    return parseNumber(block, 148, 8);
  } catch (error) {
    if (error instanceof GantryError && error.code === "corrupt") return undefined;
    throw error;
  }
}

/** True for a block of zeros, of which two end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** @throws {GantryError} "corrupt" when the checksum or a number is wrong */
export function parseHeader(block: Uint8Array): RawHeader {
  const stated = statedChecksum(block);
  if (stated !== checksum(block) && stated !== signedChecksum(block)) {
    throw new GantryError("corrupt", "bad checksum in a tar header", {
      hint: "the archive is damaged or is not a tar archive",
    });
  }
  const magic = String.fromCharCode(...block.subarray(257, 263));
  // Only POSIX archives have the prefix; GNU keeps other things there, and star two times behind a shorter one.
  const isStar = block[508] === 0x74 && block[509] === 0x61 && block[510] === 0x72;
  const prefix = magic === "ustar\0" ? fieldText(block, 345, isStar ? 131 : 155) : "";
  const name = fieldText(block, 0, 100);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    mode: parseNumber(block, 100, 8),
    uid: parseNumber(block, 108, 8),
    gid: parseNumber(block, 116, 8),
    size: parseNumber(block, 124, 12),
    mtime: parseNumber(block, 136, 12),
    typeflag: String.fromCharCode(block[156] ?? 0),
    linkName: fieldText(block, 157, 100),
    devMajor: magic.startsWith("ustar") ? parseNumber(block, 329, 8) : 0,
    devMinor: magic.startsWith("ustar") ? parseNumber(block, 337, 8) : 0,
  };
}

/** The largest number an octal field of `length` bytes holds (one is its end mark). */
export function octalMax(length: number): number {
  return 8 ** (length - 1) - 1;
}

/** Writes a POSIX ustar header. The caller has made sure, with extended headers, that every value fits. */
export function formatHeader(header: RawHeader): Uint8Array {
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, offset: number, length: number): void => {
    block.write(value.toString(8).padStart(length - 1, "0"), offset, "latin1");
  };
  block.set(encodeName(header.name), 0);
  octal(header.mode, 100, 8);
  octal(header.uid, 108, 8);
  octal(header.gid, 116, 8);
  octal(header.size, 124, 12);
  octal(header.mtime, 136, 12);
  block.write(header.typeflag, 156, "latin1");
  block.set(encodeName(header.linkName), 157);
  block.write("ustar\x0000", 257, "latin1");
  octal(header.devMajor, 329, 8);
  octal(header.devMinor, 337, 8);
  block.write(`${checksum(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}
