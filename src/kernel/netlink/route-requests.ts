/**
 * rtnetlink requests as bytes: links, addresses, routes of IPv4. Each function returns one complete message that asks for an
 * acknowledgement (dumps end by themselves). Nothing here touches the kernel. @see rtnetlink(7), linux/if_link.h
 */
import { GantryError } from "../../lib/index.ts";
import { concat, cString, u16, u32, u8 } from "./bytes.ts";
import { ipv4Bytes, ipv4Mask, macBytes } from "./ipv4.ts";
import {
  attribute,
  message,
  nested,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
} from "./message.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;

const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_BRIDGE = 7;
const AF_INET6 = 10;
const IFF_UP = 1;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_PROTINFO = 12;
const IFLA_BRPORT_MODE = 4;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const IFLA_NET_NS_PID = 19;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RTN_UNICAST = 1;

const change = NLM_F_REQUEST | NLM_F_ACK;
const create = change | NLM_F_CREATE | NLM_F_EXCL;
const dump = NLM_F_REQUEST | NLM_F_DUMP;

/** IFNAMSIZ without the NUL. */
const longestName = 15;

export interface VethOptions {
  /** The peer's interface index in its namespace, so that later messages can name it without asking. */
  readonly peerIndex?: number;
  /**
   * The host end's index. The kernel heeds peerIndex only together with it (drivers/net/veth.c), so that it is made from the
   * name when peerIndex is given alone: 31 bits, two names may collide (EBUSY or EEXIST).
   */
  readonly hostIndex?: number;
  /** Hardware address of the peer. */
  readonly mac?: string;
  /** Of both ends. */
  readonly mtu?: number;
  /** Index of the bridge that the host's end joins. */
  readonly master?: number;
  /** The host's end comes up at once. */
  readonly up?: boolean;
}

/** A message with the place where the pid of a process in the target namespace is to be written (u32, host order). */
export interface MessageWithPid {
  readonly message: Uint8Array;
  readonly pidOffset: number;
}

function nameAttribute(name: string): Uint8Array {
  if (
    !/^[^\s/:\0]+$/.test(name) ||
    name === "." ||
    name === ".." ||
    new TextEncoder().encode(name).length > longestName
  ) {
    throw new GantryError("invalid", `${JSON.stringify(name)} is not a name for a network interface`);
  }
  return attribute(IFLA_IFNAME, cString(name));
}

interface LinkHeader {
  readonly index?: number;
  readonly up?: boolean;
}

/** struct ifinfomsg */
function linkHeader({ index = 0, up }: LinkHeader = {}): Uint8Array {
  const flags = up === true ? IFF_UP : 0;
  return concat([u8(AF_UNSPEC), u8(0), u16(0), u32(index), u32(flags), u32(up === undefined ? 0 : IFF_UP)]);
}

/** The header and the attribute that name a link. */
function linkParts(link: string | number, header: LinkHeader = {}): Uint8Array[] {
  return typeof link === "number"
    ? [linkHeader({ ...header, index: link })]
    : [linkHeader(header), nameAttribute(link)];
}

/** @param index the interface index it shall have; undefined: the kernel's choice */
function createBridge(name: string, mac?: string, index?: number): Uint8Array {
  return message(RTM_NEWLINK, create, [
    linkHeader({ index: index ?? 0 }),
    nameAttribute(name),
    ...(mac === undefined ? [] : [attribute(IFLA_ADDRESS, macBytes(mac))]),
    nested(IFLA_LINKINFO, [attribute(IFLA_INFO_KIND, cString("bridge"))]),
  ]);
}

/** FNV-1a of the name, in the range that the kernel's own numbering (from 1 up) does not reach. */
function indexFromName(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return 0x1000_0000 + (hash % 0x6fff_ffff);
}

/** A veth pair whose peer is made in the network namespace of a process, in one message. */
function createVethInto(hostName: string, peerName: string, options: VethOptions = {}): MessageWithPid {
  const mtu = options.mtu === undefined ? [] : [attribute(IFLA_MTU, u32(options.mtu))];
  const peer = concat([
    // Not up yet: that is refused (ENOTCONN) until both ends exist.
    linkHeader({ index: options.peerIndex ?? 0 }),
    nameAttribute(peerName),
    ...(options.mac === undefined ? [] : [attribute(IFLA_ADDRESS, macBytes(options.mac))]),
    ...mtu,
    attribute(IFLA_NET_NS_PID, u32(0)),
  ]);
  const index = options.hostIndex ?? (options.peerIndex === undefined ? 0 : indexFromName(hostName));
  const bytes = message(RTM_NEWLINK, create, [
    linkHeader({ index, ...(options.up === true ? { up: true } : {}) }),
    nameAttribute(hostName),
    ...mtu,
    ...(options.master === undefined ? [] : [attribute(IFLA_MASTER, u32(options.master))]),
    nested(IFLA_LINKINFO, [
      attribute(IFLA_INFO_KIND, cString("veth")),
      nested(IFLA_INFO_DATA, [attribute(VETH_INFO_PEER, peer)]),
    ]),
  ]);
  // The pid is the value of the peer's last attribute, which ends the message: every value above is padded.
  return { message: bytes, pidOffset: bytes.length - 4 };
}

/** @param bridge its index; 0 takes the link out of its bridge */
function setMaster(link: string | number, bridge: number): Uint8Array {
  return message(RTM_SETLINK, change, [...linkParts(link), attribute(IFLA_MASTER, u32(bridge))]);
}

/** A bridge's port may send a frame back to where it came from: a container that reaches itself by its published port. */
function setHairpin(index: number): Uint8Array {
  const header = linkHeader({ index });
  header[0] = AF_BRIDGE;
  return message(RTM_SETLINK, change, [header, nested(IFLA_PROTINFO, [attribute(IFLA_BRPORT_MODE, u8(1))])]);
}

/**
 * The link gets no IPv6 address by itself. To be sent before it comes up: on a bridge, the announcements of each new address
 * go to all ports, so that a thousand containers would cost a million packets.
 */
function withoutLinkLocal(link: string | number): Uint8Array {
  const mode = attribute(IFLA_INET6_ADDR_GEN_MODE, u8(IN6_ADDR_GEN_MODE_NONE));
  return message(RTM_SETLINK, change, [...linkParts(link), nested(IFLA_AF_SPEC, [nested(AF_INET6, [mode])])]);
}

function linkUp(link: string | number): Uint8Array {
  return message(RTM_NEWLINK, change, linkParts(link, { up: true }));
}

function linkDown(link: string | number): Uint8Array {
  return message(RTM_NEWLINK, change, linkParts(link, { up: false }));
}

/** The link must be down on kernels before 6.0. */
function setLinkName(index: number, name: string): Uint8Array {
  return message(RTM_SETLINK, change, [linkHeader({ index }), nameAttribute(name)]);
}

function setLinkMtu(link: string | number, mtu: number): Uint8Array {
  return message(RTM_SETLINK, change, [...linkParts(link), attribute(IFLA_MTU, u32(mtu))]);
}

function deleteLink(link: string | number): Uint8Array {
  return message(RTM_DELLINK, change, linkParts(link));
}

/** Answers with one link, see parseLinks; ENODEV when there is none. */
function getLink(link: string | number): Uint8Array {
  return message(RTM_GETLINK, change, linkParts(link));
}

/** struct ifaddrmsg */
function addressHeader(prefixLength: number, index: number): Uint8Array {
  return concat([u8(AF_INET), u8(prefixLength), u8(0), u8(RT_SCOPE_UNIVERSE), u32(index)]);
}

function addressParts(index: number, ip: string, prefixLength: number): Uint8Array[] {
  const address = ipv4Bytes(ip);
  return [addressHeader(prefixLength, index), attribute(IFA_LOCAL, address), attribute(IFA_ADDRESS, address)];
}

/** With the broadcast address of its subnet, for prefixes up to 30. */
function addAddress(index: number, ip: string, prefixLength: number): Uint8Array {
  const mask = ipv4Mask(prefixLength);
  const broadcast = ipv4Bytes(ip).map((byte, i) => byte | (~(mask[i] ?? 0) & 0xff));
  const extra = prefixLength <= 30 ? [attribute(IFA_BROADCAST, broadcast)] : [];
  return message(RTM_NEWADDR, create, [...addressParts(index, ip, prefixLength), ...extra]);
}

function deleteAddress(index: number, ip: string, prefixLength: number): Uint8Array {
  return message(RTM_DELADDR, change, addressParts(index, ip, prefixLength));
}

/**
 * A unicast route of the main table.
 * @param destination `default` or `10.1.0.0/16`
 * @param via the gateway; undefined: directly on the link
 */
function addRoute(destination: string, via: string | undefined, index: number): Uint8Array {
  const [address = "", length = "32"] =
    destination === "default" ? ["0.0.0.0", "0"] : destination.split("/", 2);
  const prefixLength = Number(length);
  ipv4Mask(prefixLength);
  const scope = via === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  // struct rtmsg
  const header = [AF_INET, prefixLength, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST];
  return message(RTM_NEWROUTE, create, [
    Uint8Array.from(header),
    u32(0),
    ...(prefixLength === 0 ? [] : [attribute(RTA_DST, ipv4Bytes(address))]),
    ...(via === undefined ? [] : [attribute(RTA_GATEWAY, ipv4Bytes(via))]),
    attribute(RTA_OIF, u32(index)),
  ]);
}

function dumpLinks(): Uint8Array {
  return message(RTM_GETLINK, dump, [linkHeader()]);
}

/** Of IPv4. */
function dumpAddresses(): Uint8Array {
  return message(RTM_GETADDR, dump, [addressHeader(0, 0)]);
}

/** Of IPv4, all tables. */
function dumpRoutes(): Uint8Array {
  return message(RTM_GETROUTE, dump, [Uint8Array.of(AF_INET, 0, 0, 0, 0, 0, 0, 0), u32(0)]);
}

export const routeRequests = {
  createBridge,
  createVethInto,
  withoutLinkLocal,
  setMaster,
  setHairpin,
  linkUp,
  linkDown,
  setLinkName,
  setLinkMtu,
  deleteLink,
  getLink,
  addAddress,
  deleteAddress,
  addRoute,
  dumpLinks,
  dumpAddresses,
  dumpRoutes,
} as const;
