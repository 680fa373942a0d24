/** The D-Bus wire format, little-endian, as far as talking to systemd takes it (D-Bus specification, "Marshaling"). Pure. */
import { GantryError } from "../lib/index.ts";

/** A value with its own signature, "v" of the specification. */
export interface DbusVariant {
  readonly signature: string;
  readonly value: DbusValue;
}
export type DbusValue = string | number | bigint | boolean | readonly DbusValue[] | DbusVariant;

/** Sizes and alignments of the fixed types. */
const fixed: Readonly<Record<string, number>> = { y: 1, n: 2, q: 2, b: 4, i: 4, u: 4, x: 8, t: 8, d: 8 };
const maxMessageBytes = 1 << 20;

function alignmentOf(type: string): number {
  const first = type.charAt(0);
  if (first === "(" || first === "{") return 8;
  if (first === "v" || first === "g") return 1;
  return fixed[first] ?? 4;
}

/** The first complete type of a signature, and the rest. */
export function splitType(signature: string): readonly [type: string, rest: string] {
  const first = signature.charAt(0);
  if (first === "a") {
    const [element, rest] = splitType(signature.slice(1));
    return [`a${element}`, rest];
  }
  if (first !== "(" && first !== "{") return [first, signature.slice(1)];
  let depth = 0;
  for (let at = 0; at < signature.length; at++) {
    if ("({".includes(signature.charAt(at))) depth++;
    if (")}".includes(signature.charAt(at)) && --depth === 0)
      return [signature.slice(0, at + 1), signature.slice(at + 1)];
  }
  throw new GantryError("corrupt", `the D-Bus signature ${JSON.stringify(signature)} does not end`);
}

export function typesOf(signature: string): readonly string[] {
  const types: string[] = [];
  for (let rest = signature; rest !== "";) {
    const [type, after] = splitType(rest);
    types.push(type);
    rest = after;
  }
  return types;
}

export class DbusWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }

  pad(alignment: number): void {
    this.#room(alignment);
    while (this.#at % alignment !== 0) this.#at++;
  }

  write(type: string, value: DbusValue): void {
    const kind = type.charAt(0);
    if (kind === "a") return this.#array(type.slice(1), value);
    if (kind === "(" || kind === "{") return this.#struct(type, value);
    if (kind === "v") return this.#variant(value);
    if (kind === "s" || kind === "o" || kind === "g") return this.#text(kind, value);
    this.#fixed(kind, value);
  }

  #array(element: string, value: DbusValue): void {
    if (!Array.isArray(value)) throw misfit(`a${element}`, value);
    this.pad(4);
    const sizeAt = this.#at;
    this.#take(4);
    // The padding before the first element is not counted.
    this.pad(alignmentOf(element));
    const start = this.#at;
    for (const item of value as readonly DbusValue[]) this.write(element, item);
    this.#view.setUint32(sizeAt, this.#at - start, true);
  }

  #struct(type: string, value: DbusValue): void {
    const types = typesOf(type.slice(1, -1));
    if (!Array.isArray(value) || value.length !== types.length) throw misfit(type, value);
    this.pad(8);
    types.forEach((part, index) => this.write(part, (value as readonly DbusValue[])[index] ?? ""));
  }

  #variant(value: DbusValue): void {
    if (typeof value !== "object" || !("signature" in value)) throw misfit("v", value);
    this.write("g", value.signature);
    this.write(value.signature, value.value);
  }

  #text(kind: string, value: DbusValue): void {
    if (typeof value !== "string") throw misfit(kind, value);
    const bytes = new TextEncoder().encode(value);
    if (kind === "g") this.#view.setUint8(this.#take(1), bytes.length);
    else {
      this.pad(4);
      this.#view.setUint32(this.#take(4), bytes.length, true);
    }
    this.#bytes.set(bytes, this.#take(bytes.length));
    this.#view.setUint8(this.#take(1), 0);
  }

  #fixed(kind: string, value: DbusValue): void {
    const size = fixed[kind];
    if (size === undefined || typeof value === "string" || typeof value === "object")
      throw misfit(kind, value);
    this.pad(size);
    const at = this.#take(size);
    if (kind === "d") this.#view.setFloat64(at, Number(value), true);
    else if (size === 8) this.#view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    else if (size === 4) this.#view.setInt32(at, Number(value) | 0, true);
    else if (size === 2) this.#view.setInt16(at, Number(value), true);
    else this.#view.setUint8(at, Number(value));
  }

  /** Where the next `size` bytes are. */
  #take(size: number): number {
    this.#room(size);
    const at = this.#at;
    this.#at += size;
    return at;
  }

  #room(size: number): void {
    if (this.#at + size + 8 <= this.#bytes.length) return;
    const bigger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + size + 64));
    bigger.set(this.#bytes);
    this.#bytes = bigger;
    this.#view = new DataView(bigger.buffer);
  }
}

function misfit(type: string, value: unknown): GantryError {
  return new GantryError("invalid", `a D-Bus value of type ${type} cannot be made of a ${typeof value}`);
}

/** Bounds are checked by DataView and by the lengths: a broken message throws. */
export class DbusReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(type: string): DbusValue {
    const kind = type.charAt(0);
    if (kind === "a") return this.#array(type.slice(1));
    if (kind === "(" || kind === "{") {
      this.#align(8);
      return typesOf(type.slice(1, -1)).map((part) => this.read(part));
    }
    if (kind === "v") {
      const signature = String(this.read("g"));
      return { signature, value: this.read(signature) };
    }
    if (kind === "s" || kind === "o" || kind === "g") return this.#text(kind);
    return this.#fixed(kind);
  }

  #array(element: string): readonly DbusValue[] {
    const length = Number(this.read("u"));
    this.#align(alignmentOf(element));
    const end = this.#at + length;
    if (end > this.#bytes.length) throw broken();
    const items: DbusValue[] = [];
    while (this.#at < end) items.push(this.read(element));
    return items;
  }

  #text(kind: string): string {
    const length = kind === "g" ? Number(this.read("y")) : Number(this.read("u"));
    const end = this.#at + length;
    if (end >= this.#bytes.length) throw broken();
    const text = new TextDecoder().decode(this.#bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return text;
  }

  #fixed(kind: string): DbusValue {
    const size = fixed[kind];
    if (size === undefined) throw broken();
    this.#align(size);
    const at = this.#at;
    if (at + size > this.#bytes.length) throw broken();
    this.#at += size;
    if (kind === "d") return this.#view.getFloat64(at, true);
    if (kind === "x") return this.#view.getBigInt64(at, true);
    if (kind === "t") return this.#view.getBigUint64(at, true);
    if (kind === "b") return this.#view.getUint32(at, true) !== 0;
    if (kind === "i") return this.#view.getInt32(at, true);
    if (kind === "u") return this.#view.getUint32(at, true);
    if (kind === "n") return this.#view.getInt16(at, true);
    return kind === "q" ? this.#view.getUint16(at, true) : this.#view.getUint8(at);
  }

  #align(alignment: number): void {
    this.#at = Math.ceil(this.#at / alignment) * alignment;
  }
}

function broken(): GantryError {
  return new GantryError("corrupt", "a D-Bus message is not well-formed");
}

export const messageTypes = { call: 1, reply: 2, error: 3, signal: 4 } as const;

/** Header fields by their codes. */
const headerFields = {
  path: 1,
  interface: 2,
  member: 3,
  errorName: 4,
  replySerial: 5,
  destination: 6,
  sender: 7,
  signature: 8,
} as const;

export interface DbusCall {
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** Missing: the peer itself, on a connection without a bus. */
  readonly destination?: string;
  readonly signature?: string;
  readonly body?: readonly DbusValue[];
}

export interface DbusMessage {
  readonly type: number;
  readonly replySerial: number;
  readonly member: string;
  readonly errorName: string;
  readonly body: readonly DbusValue[];
}

/** One method call, ready to be sent. */
export function encodeCall(serial: number, call: DbusCall): Uint8Array {
  const body = new DbusWriter();
  const types = typesOf(call.signature ?? "");
  types.forEach((type, index) => body.write(type, call.body?.[index] ?? ""));
  const bodyBytes = body.bytes();
  const text = (code: number, signature: string, value: string | undefined): readonly DbusValue[] =>
    value === undefined || value === "" ? [] : [[code, { signature, value }]];
  const header = new DbusWriter();
  for (const byte of ["l".charCodeAt(0), messageTypes.call, 0, 1]) header.write("y", byte);
  header.write("u", bodyBytes.length);
  header.write("u", serial);
  header.write("a(yv)", [
    ...text(headerFields.path, "o", call.path),
    ...text(headerFields.interface, "s", call.interface),
    ...text(headerFields.member, "s", call.member),
    ...text(headerFields.destination, "s", call.destination),
    ...text(headerFields.signature, "g", call.signature),
  ]);
  header.pad(8);
  const headerBytes = header.bytes();
  const message = new Uint8Array(headerBytes.length + bodyBytes.length);
  message.set(headerBytes);
  message.set(bodyBytes, headerBytes.length);
  return message;
}

/** How long the message is that starts here; undefined while its first 16 bytes are not all there. */
export function messageLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < 16) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== "l".charCodeAt(0) || view.getUint8(3) !== 1)
    throw new GantryError("unsupported", "a D-Bus message that is not little-endian of version 1");
  const length = 16 + Math.ceil(view.getUint32(12, true) / 8) * 8 + view.getUint32(4, true);
  if (length > maxMessageBytes) throw new GantryError("corrupt", `a D-Bus message of ${length} bytes`);
  return length;
}

/** @throws {GantryError} "corrupt" */
export function decodeMessage(bytes: Uint8Array): DbusMessage {
  const reader = new DbusReader(bytes);
  reader.read("y");
  const type = Number(reader.read("y"));
  reader.read("y");
  reader.read("y");
  const bodyLength = Number(reader.read("u"));
  reader.read("u");
  const fields = new Map<number, DbusValue>();
  for (const field of reader.read("a(yv)") as readonly (readonly [number, DbusVariant])[])
    fields.set(field[0], field[1].value);
  const word = (code: number): string => String(fields.get(code) ?? "");
  const body = new DbusReader(bytes.subarray(bytes.length - bodyLength));
  return {
    type,
    replySerial: Number(fields.get(headerFields.replySerial) ?? 0),
    member: word(headerFields.member),
    errorName: word(headerFields.errorName),
    body: typesOf(word(headerFields.signature)).map((part) => body.read(part)),
  };
}
