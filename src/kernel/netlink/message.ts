/**
 * Netlink messages and their attributes, both ways. A message is `struct nlmsghdr` (16 bytes), a family header, attributes;
 * an attribute is u16 length, u16 type, the value, padding to 4 bytes. @see netlink(7), linux/netlink.h
 */
import { GantryError } from "../../lib/index.ts";
import { concat, u16, u32, viewOf } from "./bytes.ts";

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
export const headerLength = 16;
const attributeHeaderLength = 4;

function align(length: number): number {
  return (length + 3) & ~3;
}

/** One attribute. @throws {GantryError} "invalid" when the value is longer than its 16 bit length can say */
export function attribute(type: number, value: Uint8Array): Uint8Array {
  const length = attributeHeaderLength + value.length;
  if (length > 0xffff)
    throw new GantryError("invalid", `a netlink attribute of ${length} bytes does not fit`);
  const bytes = new Uint8Array(align(length));
  bytes.set(u16(length));
  bytes.set(u16(type), 2);
  bytes.set(value, attributeHeaderLength);
  return bytes;
}

/** An attribute that holds attributes. */
export function nested(type: number, attributes: readonly Uint8Array[]): Uint8Array {
  return attribute(type | NLA_F_NESTED, concat(attributes));
}

/** One complete message; its sequence number is written by whoever sends it, its port id stays 0 (the kernel's). */
export function message(type: number, flags: number, parts: readonly Uint8Array[]): Uint8Array {
  const body = concat(parts);
  const header = [u32(headerLength + body.length), u16(type), u16(flags), u32(0), u32(0)];
  return concat([...header, body]);
}

export interface NetlinkReply {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the nlmsghdr. */
  readonly payload: Uint8Array;
}

/** The messages of a buffer, in order. @throws {GantryError} "corrupt" when a length leads outside */
export function parseMessages(buffer: Uint8Array): NetlinkReply[] {
  const view = viewOf(buffer);
  const messages: NetlinkReply[] = [];
  for (let offset = 0; offset + headerLength <= buffer.length;) {
    const length = view.getUint32(offset, true);
    if (length < headerLength || offset + length > buffer.length) {
      throw new GantryError(
        "corrupt",
        `netlink: a message of ${length} bytes in a buffer of ${buffer.length}`,
      );
    }
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      payload: buffer.subarray(offset + headerLength, offset + length),
    });
    offset += align(length);
  }
  return messages;
}

/** Each attribute with its type (flag bits removed) and value, in order. Lists repeat a type. */
export function* attributesOf(bytes: Uint8Array): Generator<readonly [type: number, value: Uint8Array]> {
  const view = viewOf(bytes);
  for (let offset = 0; offset + attributeHeaderLength <= bytes.length;) {
    const length = view.getUint16(offset, true);
    if (length < attributeHeaderLength || offset + length > bytes.length) {
      throw new GantryError(
        "corrupt",
        `netlink: an attribute of ${length} bytes where ${bytes.length - offset} are left`,
      );
    }
    yield [
      view.getUint16(offset + 2, true) & NLA_TYPE_MASK,
      bytes.subarray(offset + attributeHeaderLength, offset + length),
    ];
    offset += align(length);
  }
}

/** The attributes by type; of a repeated one the last. */
export function attributeMap(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  return new Map(attributesOf(bytes));
}
