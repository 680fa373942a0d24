/** What a network's DNS server says about containers (RFC 1034, 1035). Pure: bytes in, a decision out. */
import {
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  type Question,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
} from "dns-packet";
import { formatIpv4, type Ipv4, parseReverseName, type Subnet, subnetHas } from "../ipv4.ts";

/** The names and addresses of one network. */
export interface Zone {
  readonly networkName: string;
  readonly subnet: Subnet;
  /** Addresses by lower-case name; more than one when containers share an alias. */
  readonly addresses: ReadonlyMap<string, readonly Ipv4[]>;
  /** The first name of each address. */
  readonly names: ReadonlyMap<Ipv4, string>;
}

export type Decision =
  | { readonly kind: "answer"; readonly bytes: Uint8Array }
  /** Not ours to know. */
  | { readonly kind: "forward" }
  /** Malformed, or no question at all: silence. */
  | { readonly kind: "ignore" };

/** Containers move: an answer is good for a moment only. Seconds. */
const ttl = 5;
const noError = 0;
const nameError = 3;
const notImplemented = 4;
/** A header is 12 bytes; a question with one single-byte name 5. */
const shortestQuery = 17;
const longestQuery = 4096;
/** Bit QR of byte 2: an answer. Answering answers would let two servers talk for ever. */
const answerBit = 0x80;

/** Looks at a query of a container of this network. */
export function decide(zone: Zone, message: Uint8Array): Decision {
  if (
    message.length < shortestQuery ||
    message.length > longestQuery ||
    ((message[2] ?? 0) & answerBit) !== 0
  )
    return { kind: "ignore" };
  const query = tryDecode(message);
  const question = query?.questions?.[0];
  if (query === undefined || question === undefined || query.questions?.length !== 1)
    return { kind: "ignore" };
  const opcode = ((message[2] ?? 0) >> 3) & 15;
  if (opcode !== 0) return { kind: "answer", bytes: reply(query, question, [], notImplemented) };
  const name = question.name.toLowerCase().replace(/\.$/, "");
  return ownName(zone, query, question, name) ?? reverse(zone, query, question, name) ?? { kind: "forward" };
}

function ownName(zone: Zone, query: Packet, question: Question, name: string): Decision | undefined {
  const suffix = `.${zone.networkName.toLowerCase()}`;
  const addresses =
    zone.addresses.get(name) ??
    (name.endsWith(suffix) ? zone.addresses.get(name.slice(0, -suffix.length)) : undefined);
  if (addresses === undefined) return undefined;
  // Of other types than A the name exists, but has no records: an empty answer, which keeps AAAA from asking the world.
  const wanted = question.type === "A" || String(question.type) === "ANY" ? addresses : [];
  const answers = wanted.map((address) => ({
    type: "A" as const,
    name: question.name,
    ttl,
    data: formatIpv4(address),
  }));
  return { kind: "answer", bytes: reply(query, question, answers, noError) };
}

function reverse(zone: Zone, query: Packet, question: Question, name: string): Decision | undefined {
  const address = parseReverseName(name);
  if (address === undefined || !subnetHas(zone.subnet, address)) return undefined;
  const found = zone.names.get(address);
  if (found === undefined) return { kind: "answer", bytes: reply(query, question, [], nameError) };
  const pointer = { type: "PTR" as const, name: question.name, ttl, data: `${found}.${zone.networkName}` };
  return { kind: "answer", bytes: reply(query, question, question.type === "PTR" ? [pointer] : [], noError) };
}

function reply(query: Packet, question: Question, answers: Packet["answers"], code: number): Uint8Array {
  const asked = (query.flags ?? 0) & RECURSION_DESIRED;
  return encode({
    type: "response",
    id: query.id ?? 0,
    flags: asked | RECURSION_AVAILABLE | (code === notImplemented ? 0 : AUTHORITATIVE_ANSWER) | code,
    questions: [question],
    answers: answers ?? [],
  });
}

function tryDecode(message: Uint8Array): Packet | undefined {
  try {
    return decode(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
  } catch {
    // Any error of the codec: what a container sends need not be DNS.
    return undefined;
  }
}

/** The header and question of `message` with SERVFAIL: no server of the world answered. */
export function serverFailure(message: Uint8Array): Uint8Array {
  return withCode(message, 2);
}

/** The same with NXDOMAIN: a network without a way out knows no other names. */
export function noSuchName(message: Uint8Array): Uint8Array {
  return withCode(message, nameError);
}

function withCode(message: Uint8Array, code: number): Uint8Array {
  const query = tryDecode(message);
  const question = query?.questions?.[0];
  if (query === undefined || question === undefined) return new Uint8Array(0);
  const asked = (query.flags ?? 0) & RECURSION_DESIRED;
  return encode({
    type: "response",
    id: query.id ?? 0,
    flags: asked | RECURSION_AVAILABLE | code,
    questions: [question],
  });
}
