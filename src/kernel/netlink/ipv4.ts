/** IPv4 addresses and hardware addresses: text to bytes and back. */
import { GantryError } from "../../lib/index.ts";

/** @throws {GantryError} "invalid" unless `text` is four decimal numbers up to 255 without leading zeros */
export function ipv4Bytes(text: string): Uint8Array {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) {
    throw new GantryError("invalid", `${JSON.stringify(text)} is not an IPv4 address`);
  }
  return Uint8Array.from(parts, Number);
}

export function ipv4Text(bytes: Uint8Array): string {
  return bytes.subarray(0, 4).join(".");
}

/** The network mask of a prefix length: 20 is 255.255.240.0. */
export function ipv4Mask(prefixLength: number): Uint8Array {
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > 32) {
    throw new GantryError("invalid", `${prefixLength} is not a prefix length of IPv4`);
  }
  const bits = prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
  return Uint8Array.of(bits >>> 24, (bits >>> 16) & 0xff, (bits >>> 8) & 0xff, bits & 0xff);
}

/** @throws {GantryError} "invalid" unless `text` is six hexadecimal pairs with colons */
export function macBytes(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) {
    throw new GantryError("invalid", `${JSON.stringify(text)} is not a MAC address`);
  }
  return Uint8Array.from(text.split(":"), (pair) => Number.parseInt(pair, 16));
}

export function macText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}
