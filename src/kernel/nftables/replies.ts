/** What the dumps of nf_tables answer, as data. */
import { fromCString } from "../netlink/bytes.ts";
import { attributeMap, attributesOf, type NetlinkReply } from "../netlink/message.ts";
import { messageType, NFNL_SUBSYS_NFTABLES } from "./requests.ts";

export interface NftChain {
  readonly table: string;
  readonly name: string;
}

export interface NftElement {
  readonly key: Uint8Array;
  /** The value of a map's element; undefined for sets and verdict maps. */
  readonly value: Uint8Array | undefined;
}

const genericLength = 4;

function* rows(
  replies: readonly NetlinkReply[],
  type: keyof typeof messageType,
): Generator<ReadonlyMap<number, Uint8Array>> {
  const wanted = (NFNL_SUBSYS_NFTABLES << 8) | messageType[type];
  for (const reply of replies)
    if (reply.type === wanted) yield attributeMap(reply.payload.subarray(genericLength));
}

function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? "" : fromCString(value);
}

/** The names of the tables. */
export function parseTables(replies: readonly NetlinkReply[]): string[] {
  return Array.from(rows(replies, "newTable"), (row) => textOf(row.get(1)));
}

export function parseChains(replies: readonly NetlinkReply[]): NftChain[] {
  return Array.from(rows(replies, "newChain"), (row) => ({
    table: textOf(row.get(1)),
    name: textOf(row.get(3)),
  }));
}

function dataValue(holder: Uint8Array | undefined): Uint8Array | undefined {
  return holder === undefined ? undefined : attributeMap(holder).get(1);
}

export function parseElements(replies: readonly NetlinkReply[]): NftElement[] {
  const elements: NftElement[] = [];
  for (const row of rows(replies, "newSetElement")) {
    for (const [, element] of attributesOf(row.get(3) ?? new Uint8Array())) {
      const parts = attributeMap(element);
      const key = dataValue(parts.get(1));
      if (key !== undefined) elements.push({ key, value: dataValue(parts.get(2)) });
    }
  }
  return elements;
}
