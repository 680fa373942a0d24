/**
 * The one nftables table of an engine, as one transaction that replaces what was there. Pure.
 *
 *     table ip gantry {
 *       map port_of_address { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service }
 *       map port_of_any     { type inet_proto . inet_service : ipv4_addr . inet_service }
 *       set bridges  { type ifname }              all bridges of the engine
 *       set internal { type ifname }              those without a way out
 *       set same     { type ifname . ifname }     each bridge with itself
 *       chain published { fib daddr type local, dnat to the element of one of the maps }
 *       chain early { prerouting -300: containers do not speak to or as 127.0.0.0/8 of the host }
 *       chain arriving, leaving { prerouting and output -100: published }
 *       chain passing { forward 0: see below }
 *       chain sending { postrouting 100: masquerade }
 *     }
 *
 * passing, first match: a known connection: accept. From a bridge to itself: accept. From or to an internal one: drop.
 * To a bridge by a published port: accept. Else to a bridge: drop. So nobody reaches a container that does not answer or
 * publish: neither another network's containers nor another engine's nor a neighbour of the host. From a bridge to
 * anywhere else: no rule, other tables decide.
 */
import { type Expression, nft, type SetElement } from "../kernel/index.ts";
import { formatIpv4 } from "./ipv4.ts";
import { tableName } from "./names.ts";
import { addressElement, addressMap, anyMap, elementMessages, portElements } from "./port-elements.ts";
import type { BridgeNetwork, Endpoint } from "./types.ts";

export interface TableInput {
  readonly instance: string;
  readonly networks: readonly (BridgeNetwork & {
    /** Where the network's DNS server listens; 0: nowhere. */ readonly dnsPort: number;
  })[];
  readonly endpoints: readonly Endpoint[];
}

type RuleParts = readonly (Expression | readonly Expression[])[];

const { selector } = nft;
const loopbackNet = { address: "127.0.0.0", prefixLength: 8 };
const dnatBit = nft.matchAnyBit(selector.ctStatus, nft.ctStatus.dnat);

/** Replaces the table with all its elements: whatever a crash or a hand left, afterwards it is right. */
export function tableBatch(input: TableInput): Uint8Array {
  const table = tableName(input.instance);
  return nft.batch([
    nft.addTable(table),
    nft.deleteTable(table),
    nft.addTable(table),
    ...sets(input, table),
    ...chains(table),
    ...staticRules(table),
    ...input.networks.flatMap((network) => networkRules(table, network)),
    ...elementMessages(input.instance, allElements(input)),
  ]);
}

/** Deletes the table; it need not be there. */
export function deleteTableBatch(instance: string): Uint8Array {
  const table = tableName(instance);
  return nft.batch([nft.addTable(table), nft.deleteTable(table)]);
}

const name = ({ device }: BridgeNetwork): Uint8Array => nft.value.interfaceName(device);

function sets({ networks }: TableInput, table: string): Uint8Array[] {
  const set = (label: string, elements: readonly SetElement[]): Uint8Array[] =>
    elements.length === 0 ? [] : [nft.addElements({ table, name: label }, elements)];
  return [
    nft.addMap(
      { table, name: addressMap },
      ["inet_proto", "ipv4_addr", "inet_service"],
      ["ipv4_addr", "inet_service"],
    ),
    nft.addMap({ table, name: anyMap }, ["inet_proto", "inet_service"], ["ipv4_addr", "inet_service"]),
    nft.addSet({ table, name: "bridges" }, ["ifname"]),
    nft.addSet({ table, name: "internal" }, ["ifname"]),
    nft.addSet({ table, name: "same" }, ["ifname", "ifname"]),
    ...set(
      "bridges",
      networks.map((item) => ({ key: nft.key(name(item)) })),
    ),
    ...set(
      "internal",
      networks.filter(({ network }) => network.internal).map((item) => ({ key: nft.key(name(item)) })),
    ),
    ...set(
      "same",
      networks.map((item) => ({ key: nft.key(name(item), name(item)) })),
    ),
  ];
}

function chains(table: string): Uint8Array[] {
  const policy = "accept";
  return [
    nft.addChain(table, "published"),
    nft.addChain(table, "early", { type: "filter", hook: "prerouting", priority: -300, policy }),
    nft.addChain(table, "arriving", { type: "nat", hook: "prerouting", priority: -100, policy }),
    nft.addChain(table, "leaving", { type: "nat", hook: "output", priority: -100, policy }),
    nft.addChain(table, "passing", { type: "filter", hook: "forward", priority: 0, policy }),
    nft.addChain(table, "sending", { type: "nat", hook: "postrouting", priority: 100, policy }),
  ];
}

function staticRules(table: string): Uint8Array[] {
  const fromBridge = nft.inSet([selector.iifname], "bridges");
  const toBridge = nft.inSet([selector.oifname], "bridges");
  const toHost = nft.match(selector.fibDaddrType, "==", nft.fibAddressType.local);
  const drop = nft.verdict("drop");
  const accept = nft.verdict("accept");
  const rules: readonly (readonly [chain: string, parts: RuleParts])[] = [
    ["early", [fromBridge, nft.matchSubnet(selector.ipDaddr, "==", loopbackNet), drop]],
    ["early", [fromBridge, nft.matchSubnet(selector.ipSaddr, "==", loopbackNet), drop]],
    [
      "published",
      [toHost, nft.dnatFromMap([selector.l4proto, selector.ipDaddr, selector.thDport], addressMap)],
    ],
    ["published", [toHost, nft.dnatFromMap([selector.l4proto, selector.thDport], anyMap)]],
    // A neighbour that sends to 127.0.0.1 by its hardware address must not reach what is published there for this host only.
    ["arriving", [nft.matchSubnet(selector.ipDaddr, "==", loopbackNet), nft.verdict("return")]],
    ["arriving", [nft.verdict({ jump: "published" })]],
    ["leaving", [nft.verdict({ jump: "published" })]],
    ["passing", [nft.matchAnyBit(selector.ctState, nft.ctState.established | nft.ctState.related), accept]],
    ["passing", [nft.inSet([selector.iifname, selector.oifname], "same"), accept]],
    ["passing", [nft.inSet([selector.iifname], "internal"), drop]],
    ["passing", [nft.inSet([selector.oifname], "internal"), drop]],
    ["passing", [toBridge, dnatBit, accept]],
    ["passing", [toBridge, drop]],
    // A connection of the host from 127.0.0.1: the container must answer to an address that it can reach.
    ["sending", [toBridge, nft.matchSubnet(selector.ipSaddr, "==", loopbackNet), nft.masquerade()]],
  ];
  return rules.map(([chain, parts]) => nft.addRule({ table, chain }, parts));
}

function networkRules(table: string, { network, device, addresses }: BridgeNetwork): Uint8Array[] {
  if (network.internal) return [];
  const { base, prefix } = addresses.subnet;
  const fromHere = nft.matchSubnet(selector.ipSaddr, "==", {
    address: formatIpv4(base),
    prefixLength: prefix,
  });
  const toHere = nft.match(selector.oifname, "==", nft.value.interfaceName(device));
  const rule = { table, chain: "sending", comment: network.name.slice(0, 120) };
  return [
    // A container that reaches a neighbour, or itself, by a published port: the answer must come back through this host.
    nft.addRule(rule, [fromHere, toHere, dnatBit, nft.masquerade()]),
    nft.addRule(rule, [fromHere, nft.notInSet([selector.oifname], "bridges"), nft.masquerade()]),
  ];
}

function allElements({ networks, endpoints }: TableInput): { ofAddress: SetElement[]; ofAny: SetElement[] } {
  const published = endpoints.map(portElements);
  return {
    ofAddress: [...networks.flatMap(dnsElements), ...published.flatMap(({ ofAddress }) => ofAddress)],
    ofAny: published.flatMap(({ ofAny }) => ofAny),
  };
}

/** Port 53 of a gateway is the network's DNS server, wherever that listens. @see dns/server.ts */
function dnsElements({ addresses, dnsPort }: TableInput["networks"][number]): SetElement[] {
  if (dnsPort === 0) return [];
  const ip = formatIpv4(addresses.gateway);
  return (["udp", "tcp"] as const).map((protocol) => addressElement(protocol, ip, 53, { ip, port: dnsPort }));
}
