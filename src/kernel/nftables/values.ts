/**
 * The types of set keys and rule operands, and their bytes. A concatenated key is its parts one after the other, each padded
 * to 4 bytes (a register); its type number joins the parts' numbers, 6 bits each, as nft(8) does, so that it prints them.
 */
import { GantryError } from "../../lib/index.ts";
import { be16, concat, u32 } from "../netlink/bytes.ts";
import { ipv4Bytes } from "../netlink/ipv4.ts";

interface TypeFacts {
  readonly number: number;
  readonly bytes: number;
  /** Byte order, which nft has to be told to print elements: 1 the host's, 2 the network's. */
  readonly order: 1 | 2;
}

/** Numbers of nft's datatypes (opaque to the kernel) and their lengths in bytes. */
const dataTypes = {
  ipv4_addr: { number: 7, bytes: 4, order: 2 },
  inet_proto: { number: 12, bytes: 1, order: 2 },
  inet_service: { number: 13, bytes: 2, order: 2 },
  mark: { number: 19, bytes: 4, order: 1 },
  ifname: { number: 41, bytes: 16, order: 1 },
} as const satisfies Record<string, TypeFacts>;

export type DataType = keyof typeof dataTypes;

const typeBits = 6;

function padded(length: number): number {
  return (length + 3) & ~3;
}

/** Type number, length and byte order of a key (or map value) made of these parts. */
export function describeType(types: readonly DataType[]): TypeFacts {
  const [first] = types;
  if (first !== undefined && types.length === 1) return dataTypes[first];
  return types.reduce<TypeFacts>(
    (whole, type) => ({
      order: 2,
      number: (whole.number << typeBits) | dataTypes[type].number,
      bytes: whole.bytes + padded(dataTypes[type].bytes),
    }),
    { number: 0, bytes: 0, order: 2 },
  );
}

const protocols = { icmp: 1, tcp: 6, udp: 17 } as const;

function port(number: number): Uint8Array {
  if (!Number.isInteger(number) || number < 0 || number > 0xffff)
    throw new GantryError("invalid", `${number} is not a port`);
  return be16(number);
}

/** An interface's name with zeros up to 16 bytes. */
function interfaceName(name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length > 15) {
    throw new GantryError("invalid", `${JSON.stringify(name)} is not a name for a network interface`);
  }
  const whole = new Uint8Array(16);
  whole.set(bytes);
  return whole;
}

/** Operands as the kernel compares them: addresses and ports in network order, marks and states in the host's. */
export const value = {
  ipv4: ipv4Bytes,
  protocol: (name: keyof typeof protocols): Uint8Array => Uint8Array.of(protocols[name]),
  port,
  interfaceName,
  mark: u32,
} as const;

/** A concatenated key or map value. A single part is not padded. */
export function key(...parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  return concat(
    parts.map((part) => {
      const whole = new Uint8Array(padded(part.length));
      whole.set(part);
      return whole;
    }),
  );
}
