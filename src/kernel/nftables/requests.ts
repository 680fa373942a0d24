/**
 * nfnetlink requests for nf_tables, as bytes. Changes are sent in a batch, which the kernel takes as a whole or not at all;
 * dumps are sent alone. The family is ip (IPv4) throughout. @see linux/netfilter/nf_tables.h
 */
import { be16, be32, cString, concat, u32, u8 } from "../netlink/bytes.ts";
import {
  attribute,
  message,
  nested,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
} from "../netlink/message.ts";
import { type Expression, joinExpressions, type Verdict, verdictData } from "./expressions.ts";
import { type DataType, describeType } from "./values.ts";

const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
export const NFNL_SUBSYS_NFTABLES = 10;
const NFPROTO_IPV4 = 2;
const NFTA_LIST_ELEM = 1;
const NFT_SET_MAP = 8;
/** A note of nft's for itself in the set's user data (NFTNL_UDATA_SET_KEYBYTEORDER); without it it prints names as "". */
const keyByteOrder = 0;
/** The kernel's type of map values that are verdicts. */
const NFT_DATA_VERDICT = 0xffffff00;

export const messageType = {
  newTable: 0,
  getTable: 1,
  delTable: 2,
  newChain: 3,
  getChain: 4,
  newRule: 6,
  newSet: 9,
  newSetElement: 12,
  getSetElement: 13,
  delSetElement: 14,
  destroySetElement: 30,
} as const;

const change = NLM_F_REQUEST | NLM_F_ACK;

/** struct nfgenmsg */
function generic(family: number, resource: number): Uint8Array {
  return concat([u8(family), u8(0), be16(resource)]);
}

function request(
  type: keyof typeof messageType,
  flags: number,
  attributes: readonly Uint8Array[],
): Uint8Array {
  return message((NFNL_SUBSYS_NFTABLES << 8) | messageType[type], flags, [
    generic(NFPROTO_IPV4, 0),
    ...attributes,
  ]);
}

function batchMark(type: number): Uint8Array {
  return message(type, NLM_F_REQUEST, [generic(0, NFNL_SUBSYS_NFTABLES)]);
}

/** The messages as one transaction, to be sent as one buffer. */
export function batch(messages: readonly Uint8Array[]): Uint8Array {
  return concat([batchMark(NFNL_MSG_BATCH_BEGIN), ...messages, batchMark(NFNL_MSG_BATCH_END)]);
}

/** An existing table stays as it is. */
export function addTable(name: string): Uint8Array {
  return request("newTable", change | NLM_F_CREATE, [attribute(1, cString(name))]);
}

/** With all its chains, sets and rules. ENOENT when absent: `addTable` before it in the same batch makes it safe. */
export function deleteTable(name: string): Uint8Array {
  return request("delTable", change, [attribute(1, cString(name))]);
}

const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

export interface BaseChain {
  readonly type: "filter" | "nat";
  readonly hook: keyof typeof hooks;
  /** -100 is dstnat, 0 filter, 100 srcnat. */
  readonly priority: number;
  readonly policy: "accept" | "drop";
}

/** A chain; without `base` one that rules jump to. */
export function addChain(table: string, name: string, base?: BaseChain): Uint8Array {
  const attributes = [attribute(1, cString(table)), attribute(3, cString(name))];
  if (base === undefined) return request("newChain", change | NLM_F_CREATE, attributes);
  return request("newChain", change | NLM_F_CREATE, [
    ...attributes,
    nested(4, [attribute(1, be32(hooks[base.hook])), attribute(2, be32(base.priority))]),
    attribute(5, be32(base.policy === "accept" ? 1 : 0)),
    attribute(7, cString(base.type)),
  ]);
}

/** What nft prints as `comment "…"`; at most 127 bytes. */
function commentData(comment: string): Uint8Array {
  const text = cString(comment);
  return concat([Uint8Array.of(0, text.length), text]);
}

/** Appends a rule to a chain. */
export function addRule(
  place: { readonly table: string; readonly chain: string; readonly comment?: string },
  expressions: readonly (Expression | readonly Expression[])[],
): Uint8Array {
  return request("newRule", change | NLM_F_CREATE | NLM_F_APPEND, [
    attribute(1, cString(place.table)),
    attribute(2, cString(place.chain)),
    nested(4, [joinExpressions(expressions)]),
    ...(place.comment === undefined ? [] : [attribute(7, commentData(place.comment))]),
  ]);
}

export interface SetPlace {
  readonly table: string;
  readonly name: string;
}

/** Sets made in one batch need different ids; the names are unique in a table, so that one is made of the name. */
function setId(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

function setAttributes(place: SetPlace, keyTypes: readonly DataType[], flags: number): Uint8Array[] {
  const { number, bytes, order } = describeType(keyTypes);
  return [
    attribute(1, cString(place.table)),
    attribute(2, cString(place.name)),
    attribute(3, be32(flags)),
    attribute(4, be32(number)),
    attribute(5, be32(bytes)),
    attribute(10, be32(setId(place.name))),
    attribute(13, concat([Uint8Array.of(keyByteOrder, 4), u32(order)])),
  ];
}

export function addSet(place: SetPlace, keyTypes: readonly DataType[]): Uint8Array {
  return request("newSet", change | NLM_F_CREATE, setAttributes(place, keyTypes, 0));
}

/** @param values the parts of a value, or "verdict" */
export function addMap(
  place: SetPlace,
  keyTypes: readonly DataType[],
  values: readonly DataType[] | "verdict",
): Uint8Array {
  const { number, bytes } =
    values === "verdict" ? { number: NFT_DATA_VERDICT, bytes: 0 } : describeType(values);
  return request("newSet", change | NLM_F_CREATE, [
    ...setAttributes(place, keyTypes, NFT_SET_MAP),
    attribute(6, be32(number)),
    ...(bytes === 0 ? [] : [attribute(7, be32(bytes))]),
  ]);
}

export interface SetElement {
  /** As `key(...)` makes it. */
  readonly key: Uint8Array;
  /** Of a map: a value as `key(...)` makes it, or a verdict. */
  readonly value?: Uint8Array | Verdict;
}

function elementAttribute({ key, value }: SetElement): Uint8Array {
  const parts = [nested(1, [attribute(1, key)])];
  if (value instanceof Uint8Array) parts.push(nested(2, [attribute(1, value)]));
  else if (value !== undefined) parts.push(nested(2, [verdictData(value)]));
  return nested(NFTA_LIST_ELEM, parts);
}

/** A list attribute says its length in 16 bits: more elements than fit go into further messages of the same buffer. */
const longestList = 60_000;

function elementMessages(
  type: "newSetElement" | "delSetElement" | "destroySetElement",
  flags: number,
  place: SetPlace,
  elements: readonly SetElement[],
): Uint8Array {
  const lists: Uint8Array[][] = [];
  let room = 0;
  for (const element of elements) {
    const bytes = elementAttribute(element);
    if (bytes.length > room || lists.length === 0) {
      lists.push([]);
      room = longestList;
    }
    lists.at(-1)?.push(bytes);
    room -= bytes.length;
  }
  return concat(
    lists.map((list) =>
      request(type, flags, [
        attribute(1, cString(place.table)),
        attribute(2, cString(place.name)),
        nested(3, list),
      ]),
    ),
  );
}

/** @param mode "exclusive": EEXIST for an element that is there already; "present": it may be there, with the same value */
export function addElements(
  place: SetPlace,
  elements: readonly SetElement[],
  mode: "exclusive" | "present" = "present",
): Uint8Array {
  const flags = change | NLM_F_CREATE | (mode === "exclusive" ? NLM_F_EXCL : 0);
  return elementMessages("newSetElement", flags, place, elements);
}

/** ENOENT for the whole batch when one is absent. */
export function deleteElements(place: SetPlace, elements: readonly SetElement[]): Uint8Array {
  return elementMessages("delSetElement", change, place, elements);
}

/** Absent ones are fine. Kernels before 6.3 refuse it. A batch that fails costs 10 ms (the kernel waits for RCU): this one does not. */
export function destroyElements(place: SetPlace, elements: readonly SetElement[]): Uint8Array {
  return elementMessages("destroySetElement", change, place, elements);
}

const dump = NLM_F_REQUEST | NLM_F_DUMP;

export function dumpTables(): Uint8Array {
  return request("getTable", dump, []);
}

/** Of all tables of the family. */
export function dumpChains(): Uint8Array {
  return request("getChain", dump, []);
}

/** ENOENT when the set is absent. */
export function dumpSetElements(place: SetPlace): Uint8Array {
  return request("getSetElement", dump, [
    attribute(1, cString(place.table)),
    attribute(2, cString(place.name)),
  ]);
}
