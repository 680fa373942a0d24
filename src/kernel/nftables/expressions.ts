/**
 * The expressions a rule is made of, as nft(8) would compile them. A *selector* loads something of the packet into a
 * register; matches and statements are built on selectors.
 *
 * Registers: the kernel has 16 words of 4 bytes; 1 to 4 name groups of four words, 8 to 23 single ones. A concatenated key
 * lies in words one after the other: its first part at word 0, the next after the first's padded length.
 */
import { be32, concat, cString, u32 } from "../netlink/bytes.ts";
import { ipv4Bytes, ipv4Mask } from "../netlink/ipv4.ts";
import { attribute, nested } from "../netlink/message.ts";

/** One `NFTA_LIST_ELEM` with an expression in it. */
export type Expression = Uint8Array;

const NFTA_LIST_ELEM = 1;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;

function expression(name: string, attributes: readonly Uint8Array[]): Expression {
  return nested(NFTA_LIST_ELEM, [attribute(1, cString(name)), nested(2, attributes)]);
}

function registerOfWord(word: number): number {
  return word % 4 === 0 ? 1 + word / 4 : 8 + word;
}

const firstRegister = registerOfWord(0);

/** What of a packet is looked at: its length in bytes and how it gets into a register. */
export interface Selector {
  readonly bytes: number;
  readonly load: (register: number) => Expression;
}

function payload(base: "network" | "transport", offset: number, bytes: number): Selector {
  const header = base === "network" ? 1 : 2;
  return {
    bytes,
    load: (register) =>
      expression("payload", [
        attribute(1, be32(register)),
        attribute(2, be32(header)),
        attribute(3, be32(offset)),
        attribute(4, be32(bytes)),
      ]),
  };
}

function meta(key: number, bytes: number): Selector {
  return {
    bytes,
    load: (register) => expression("meta", [attribute(1, be32(register)), attribute(2, be32(key))]),
  };
}

function ct(key: number, bytes: number): Selector {
  return {
    bytes,
    load: (register) => expression("ct", [attribute(1, be32(register)), attribute(2, be32(key))]),
  };
}

/** `fib daddr type` / `fib saddr type`: what the routing table says the address is. */
function fibType(flags: number): Selector {
  const addressType = 3;
  return {
    bytes: 4,
    load: (register) =>
      expression("fib", [
        attribute(1, be32(register)),
        attribute(2, be32(addressType)),
        attribute(3, be32(flags)),
      ]),
  };
}

export const selector = {
  ipSaddr: payload("network", 12, 4),
  ipDaddr: payload("network", 16, 4),
  thSport: payload("transport", 0, 2),
  thDport: payload("transport", 2, 2),
  l4proto: meta(16, 1),
  mark: meta(3, 4),
  iifname: meta(6, 16),
  oifname: meta(7, 16),
  ctState: ct(0, 4),
  ctDirection: ct(1, 1),
  ctStatus: ct(2, 4),
  fibDaddrType: fibType(2),
} as const satisfies Record<string, Selector>;

/** Bits of `selector.ctState`. */
export const ctState = { invalid: 1, established: 2, related: 4, new: 8 } as const;
/** Bits of `selector.ctStatus` that say whether a connection's addresses were rewritten. */
export const ctStatus = { snat: 0x10, dnat: 0x20 } as const;
/** Values of `selector.fibDaddrType` (RTN_*). */
export const fibAddressType = { unicast: u32(1), local: u32(2), broadcast: u32(3) } as const;

function data(bytes: Uint8Array): Uint8Array {
  return attribute(NFTA_DATA_VALUE, bytes);
}

function compare(operator: "==" | "!=", bytes: Uint8Array): Expression {
  return expression("cmp", [
    attribute(1, be32(firstRegister)),
    attribute(2, be32(operator === "==" ? 0 : 1)),
    nested(3, [data(bytes)]),
  ]);
}

/** `SELECTOR == BYTES` or `!=`; a rule goes on only when it is true. */
export function match(what: Selector, operator: "==" | "!=", bytes: Uint8Array): Expression[] {
  return [what.load(firstRegister), compare(operator, bytes)];
}

function bitwiseAnd(mask: Uint8Array): Expression {
  return expression("bitwise", [
    attribute(1, be32(firstRegister)),
    attribute(2, be32(firstRegister)),
    attribute(3, be32(mask.length)),
    nested(4, [data(mask)]),
    nested(5, [data(new Uint8Array(mask.length))]),
  ]);
}

/** The address is in `address/prefixLength`, or not in it. */
export function matchSubnet(
  what: Selector,
  operator: "==" | "!=",
  subnet: { readonly address: string; readonly prefixLength: number },
): Expression[] {
  const mask = ipv4Mask(subnet.prefixLength);
  const network = ipv4Bytes(subnet.address).map((byte, i) => byte & (mask[i] ?? 0));
  return [what.load(firstRegister), bitwiseAnd(mask), compare(operator, network)];
}

/** At least one of the bits is set, as in `ct state established,related`. */
export function matchAnyBit(what: Selector, bits: number): Expression[] {
  return [what.load(firstRegister), bitwiseAnd(u32(bits)), compare("!=", u32(0))];
}

/** Loads the parts of a key into neighbouring words. */
function loadKey(parts: readonly Selector[]): Expression[] {
  let word = 0;
  return parts.map((part) => {
    const load = part.load(registerOfWord(word));
    word += (part.bytes + 3) >> 2;
    return load;
  });
}

interface LookupOptions {
  readonly inverted?: boolean;
  readonly into?: number;
}

function lookup(set: string, options: LookupOptions): Expression {
  return expression("lookup", [
    attribute(1, cString(set)),
    attribute(2, be32(firstRegister)),
    ...(options.into === undefined ? [] : [attribute(3, be32(options.into))]),
    ...(options.inverted === true ? [attribute(5, be32(1))] : []),
  ]);
}

/** `A . B @set`: the key is in the set of the same table. */
export function inSet(parts: readonly Selector[], set: string): Expression[] {
  return [...loadKey(parts), lookup(set, {})];
}

/** `A . B != @set` */
export function notInSet(parts: readonly Selector[], set: string): Expression[] {
  return [...loadKey(parts), lookup(set, { inverted: true })];
}

/** `A . B vmap @map`: the verdict of the key's element; without one the rule does not apply. */
export function verdictFromMap(parts: readonly Selector[], map: string): Expression[] {
  return [...loadKey(parts), lookup(map, { into: 0 })];
}

/** `dnat to A . B map @map`, the map's value being `ipv4_addr . inet_service`; without an element the rule does not apply. */
export function dnatFromMap(parts: readonly Selector[], map: string): Expression[] {
  const [address, port] = [registerOfWord(0), registerOfWord(1)];
  const dnat = 1;
  const ipv4 = 2;
  return [
    ...loadKey(parts),
    lookup(map, { into: address }),
    expression("nat", [
      attribute(1, be32(dnat)),
      attribute(2, be32(ipv4)),
      attribute(3, be32(address)),
      attribute(5, be32(port)),
    ]),
  ];
}

export function masquerade(): Expression {
  return expression("masq", []);
}

export function counter(): Expression {
  return expression("counter", []);
}

export type Verdict = "accept" | "drop" | "return" | { readonly jump: string } | { readonly goto: string };

const verdictCodes = { drop: 0, accept: 1, return: -5 } as const;

/** `NFTA_DATA_VERDICT`, in a rule or in an element of a verdict map. */
export function verdictData(wanted: Verdict): Uint8Array {
  if (typeof wanted === "string")
    return nested(NFTA_DATA_VERDICT, [attribute(1, be32(verdictCodes[wanted]))]);
  const [code, chain] = "jump" in wanted ? [-3, wanted.jump] : [-4, wanted.goto];
  return nested(NFTA_DATA_VERDICT, [attribute(1, be32(code)), attribute(2, cString(chain))]);
}

export function verdict(wanted: Verdict): Expression {
  const verdictRegister = 0;
  return expression("immediate", [attribute(1, be32(verdictRegister)), nested(2, [verdictData(wanted)])]);
}

/** The expressions of a rule; lists (as matches are) and single ones mixed. */
export function joinExpressions(parts: readonly (Expression | readonly Expression[])[]): Uint8Array {
  return concat(parts.flatMap((part) => (part instanceof Uint8Array ? [part] : [...part])));
}
