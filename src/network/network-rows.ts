/** The tables of this room and what their rows mean. Pure. */
import { GantryError, type Row, type SqlValue } from "../lib/index.ts";
import type { AddressPlan } from "./ipam.ts";
import { formatIpv4, formatSubnet, type Ipv4, parseCidr, parseIpv4 } from "./ipv4.ts";
import { bridgeName } from "./names.ts";
import type { BridgeNetwork, Endpoint, Network, NetworkDriver, PublishedPort } from "./types.ts";

export const schema = [
  `CREATE TABLE network (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    driver TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    internal INTEGER NOT NULL,
    attachable INTEGER NOT NULL,
    predefined INTEGER NOT NULL,
    labels TEXT NOT NULL,
    options TEXT NOT NULL,
    bridge_number INTEGER UNIQUE,
    subnet TEXT,
    gateway TEXT,
    ip_range TEXT,
    chosen INTEGER NOT NULL
  ) STRICT;`,
  `CREATE TABLE endpoint (
    container_id TEXT PRIMARY KEY,
    network_id TEXT NOT NULL REFERENCES network (id),
    name TEXT NOT NULL,
    ip TEXT NOT NULL,
    slot INTEGER NOT NULL,
    mac TEXT NOT NULL,
    aliases TEXT NOT NULL,
    ports TEXT NOT NULL,
    dns TEXT NOT NULL,
    UNIQUE (network_id, ip),
    UNIQUE (network_id, slot)
  ) STRICT`,
];

/** An endpoint with what only this room needs to know. */
export interface EndpointRecord {
  readonly endpoint: Endpoint;
  /** Number of its cable on the bridge, 1 to 1023. */
  readonly slot: number;
  readonly dns: readonly string[];
}

export interface NetworkRecord {
  readonly network: Network;
  readonly bridge:
    | (BridgeNetwork & {
        readonly number: number;
        /** The subnet was not the user's wish. */ readonly chosen: boolean;
      })
    | undefined;
}

/** The fields of an endpoint that its network decides. */
export function placeIn({
  network,
  addresses,
}: BridgeNetwork): Pick<Endpoint, "networkName" | "networkId" | "prefixLength" | "gateway"> {
  return {
    networkName: network.name,
    networkId: network.id,
    prefixLength: addresses.subnet.prefix,
    // Without a way out there is no gateway to use, as Docker shows it.
    gateway: network.internal ? "" : formatIpv4(addresses.gateway),
  };
}

/** The addresses that endpoints of a network have. */
export function usedAddresses(records: readonly EndpointRecord[]): ReadonlySet<Ipv4> {
  return new Set(records.map(({ endpoint }) => parseIpv4(endpoint.ip)));
}

/** Columns subnet, gateway and ip_range. */
export function addressColumns(addresses: AddressPlan | undefined): readonly SqlValue[] {
  if (addresses === undefined) return [null, null, null];
  return [formatSubnet(addresses.subnet), formatIpv4(addresses.gateway), formatSubnet(addresses.range)];
}

/** @param instance of the engine: part of the bridge's name */
export function readNetwork(row: Row, instance: string): NetworkRecord {
  const addresses = row["subnet"] === null ? undefined : addressesOf(row);
  const number = Number(row["bridge_number"]);
  const device = bridgeName(instance, number);
  const network: Network = {
    id: String(row["id"]),
    name: String(row["name"]),
    driver: driverOf(String(row["driver"])),
    createdAtMs: Number(row["created_at_ms"]),
    internal: row["internal"] === 1,
    attachable: row["attachable"] === 1,
    predefined: row["predefined"] === 1,
    labels: map(row["labels"]),
    options: map(row["options"]),
    bridge:
      addresses === undefined
        ? undefined
        : {
            device,
            subnet: formatSubnet(addresses.subnet),
            gateway: formatIpv4(addresses.gateway),
            ipRange: addresses.range.prefix === addresses.subnet.prefix ? "" : formatSubnet(addresses.range),
          },
  };
  const bridge =
    addresses === undefined ? undefined : { network, device, addresses, number, chosen: row["chosen"] === 1 };
  return { network, bridge };
}

function addressesOf(row: Row): AddressPlan {
  const subnetOf = (column: string): AddressPlan["subnet"] => parseCidr(String(row[column])).subnet;
  return {
    subnet: subnetOf("subnet"),
    gateway: parseIpv4(String(row["gateway"])),
    range: subnetOf("ip_range"),
  };
}

function driverOf(text: string): NetworkDriver {
  if (text === "bridge" || text === "host" || text === "null") return text;
  throw new GantryError("corrupt", `a network's record has driver ${JSON.stringify(text)}`);
}

function texts(value: SqlValue | undefined): readonly string[] {
  const parsed: unknown = JSON.parse(String(value));
  return Array.isArray(parsed) ? parsed.map(String) : [];
}

function map(value: SqlValue | undefined): Readonly<Record<string, string>> {
  const parsed: unknown = JSON.parse(String(value));
  if (typeof parsed !== "object" || parsed === null) return {};
  return Object.fromEntries(Object.entries(parsed).map(([key, text]) => [key, String(text)]));
}

/** @throws {GantryError} "corrupt" when its network gives no addresses */
export function readEndpoint(row: Row, { network, bridge }: NetworkRecord): EndpointRecord {
  if (bridge === undefined)
    throw new GantryError("corrupt", `an endpoint's network ${network.name} has no bridge`);
  const ports: PublishedPort[] = JSON.parse(String(row["ports"]));
  const endpoint: Endpoint = {
    ...placeIn(bridge),
    containerId: String(row["container_id"]),
    name: String(row["name"]),
    ip: String(row["ip"]),
    mac: String(row["mac"]),
    aliases: texts(row["aliases"]),
    ports,
  };
  return { endpoint, slot: Number(row["slot"]), dns: texts(row["dns"]) };
}
