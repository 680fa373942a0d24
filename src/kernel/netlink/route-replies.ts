/** What rtnetlink answers to getLink and the dumps, as data. */
import { fromCString, viewOf } from "./bytes.ts";
import { ipv4Text, macText } from "./ipv4.ts";
import { attributeMap, type NetlinkReply } from "./message.ts";

const RTM_NEWLINK = 16;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** "" for links without a hardware address. */
  readonly mac: string;
  /** Index of its bridge, 0 without one. */
  readonly master: number;
  /** "bridge", "veth", …; "" for real devices and lo. */
  readonly kind: string;
}

export interface LinkAddress {
  readonly index: number;
  readonly address: string;
  readonly prefixLength: number;
}

export interface Route {
  /** `default` or `10.1.0.0/16`. */
  readonly destination: string;
  readonly via: string | undefined;
  /** Index of the outgoing link; 0 for multipath routes and those without one. */
  readonly index: number;
  /** 254 is the main table. */
  readonly table: number;
}

function u32Of(value: Uint8Array | undefined): number {
  return value === undefined || value.length < 4 ? 0 : viewOf(value).getUint32(0, true);
}

function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? "" : fromCString(value);
}

export function parseLinks(replies: readonly NetlinkReply[]): Link[] {
  return replies.flatMap(({ type, payload }) => (type === RTM_NEWLINK ? [parseLink(payload)] : []));
}

function parseLink(payload: Uint8Array): Link {
  const view = viewOf(payload);
  const attributes = attributeMap(payload.subarray(16));
  const info = attributes.get(18);
  const mac = attributes.get(1);
  return {
    index: view.getUint32(4, true),
    name: textOf(attributes.get(3)),
    up: (view.getUint32(8, true) & 1) !== 0,
    mtu: u32Of(attributes.get(4)),
    mac: mac === undefined ? "" : macText(mac),
    master: u32Of(attributes.get(10)),
    kind: info === undefined ? "" : textOf(attributeMap(info).get(1)),
  };
}

export function parseAddresses(replies: readonly NetlinkReply[]): LinkAddress[] {
  return replies.flatMap(({ type, payload }) => {
    if (type !== RTM_NEWADDR) return [];
    const attributes = attributeMap(payload.subarray(8));
    // IFA_LOCAL; on point to point links IFA_ADDRESS is the other end.
    const address = attributes.get(2) ?? attributes.get(1);
    if (address === undefined || address.length !== 4) return [];
    return [
      {
        index: viewOf(payload).getUint32(4, true),
        address: ipv4Text(address),
        prefixLength: payload[1] ?? 0,
      },
    ];
  });
}

export function parseRoutes(replies: readonly NetlinkReply[]): Route[] {
  return replies.flatMap(({ type, payload }) => {
    if (type !== RTM_NEWROUTE) return [];
    const attributes = attributeMap(payload.subarray(12));
    const [, prefixLength = 0] = payload;
    const destination = attributes.get(1);
    const gateway = attributes.get(5);
    return [
      {
        destination: destination === undefined ? "default" : `${ipv4Text(destination)}/${prefixLength}`,
        via: gateway === undefined ? undefined : ipv4Text(gateway),
        index: u32Of(attributes.get(4)),
        table: u32Of(attributes.get(15)) || (payload[4] ?? 0),
      },
    ];
  });
}
