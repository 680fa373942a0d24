/** The records of networks and endpoints: SQLite, mirrored in memory. Knows nothing of the kernel. */
import { type Database, GantryError, newId, type Row, type SqlValue } from "../lib/index.ts";
import {
  type BridgeNetwork,
  type Endpoint,
  type Network,
  type NetworkDriver,
  type PublishedPort,
} from "./types.ts";
import { formatIpv4, formatSubnet, type Ipv4, parseCidr, parseIpv4 } from "./ipv4.ts";
import type { AddressPlan } from "./ipam.ts";
import { bridgeName } from "./names.ts";

const schema = [
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

export interface NewNetwork {
  readonly name: string;
  readonly driver: NetworkDriver;
  readonly createdAtMs: number;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly predefined: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly addresses: (AddressPlan & { readonly chosen: boolean }) | undefined;
}

export class NetworkStore {
  readonly #db: Database;
  readonly #instance: string;
  readonly #networks = new Map<string, NetworkRecord>();
  readonly #endpoints = new Map<string, EndpointRecord>();

  constructor(db: Database, instance: string) {
    this.#db = db;
    this.#instance = instance;
    db.migrate("network", schema);
    for (const row of db.all("SELECT * FROM network")) this.#rememberNetwork(row);
    for (const row of db.all("SELECT * FROM endpoint")) this.#rememberEndpoint(row);
  }

  /** All networks, in the order of their making. */
  networks(): readonly NetworkRecord[] {
    return [...this.#networks.values()];
  }

  /** By name, id, or the start of an id that names one. @throws {GantryError} "not-found", "invalid" when ambiguous */
  find(nameOrId: string): NetworkRecord {
    const records = this.networks();
    const exact =
      records.find(({ network }) => network.id === nameOrId) ??
      records.find(({ network }) => network.name === nameOrId);
    if (exact !== undefined) return exact;
    const byPrefix = nameOrId === "" ? [] : records.filter(({ network }) => network.id.startsWith(nameOrId));
    if (byPrefix.length > 1)
      throw new GantryError(
        "invalid",
        `network ${nameOrId} is ambiguous (${byPrefix.length} matches found on ID prefix)`,
      );
    const [found] = byPrefix;
    if (found === undefined)
      throw new GantryError("not-found", `network ${nameOrId.slice(0, 200)} not found`);
    return found;
  }

  addNetwork(wish: NewNetwork): NetworkRecord {
    const id = newId();
    const { addresses } = wish;
    this.#db.run(
      "INSERT INTO network VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      id,
      wish.name,
      wish.driver,
      wish.createdAtMs,
      Number(wish.internal),
      Number(wish.attachable),
      Number(wish.predefined),
      JSON.stringify(wish.labels),
      JSON.stringify(wish.options),
      addresses === undefined ? null : this.#freeNumber(),
      ...addressColumns(addresses),
      Number(addresses?.chosen ?? false),
    );
    return this.#reload(id);
  }

  /** Moves a network without endpoints to another subnet. */
  readdress(id: string, addresses: AddressPlan): NetworkRecord {
    this.#db.run(
      "UPDATE network SET subnet = ?, gateway = ?, ip_range = ? WHERE id = ?",
      ...addressColumns(addresses),
      id,
    );
    return this.#reload(id);
  }

  removeNetwork(id: string): void {
    this.#db.run("DELETE FROM network WHERE id = ?", id);
    this.#networks.delete(id);
  }

  endpoints(): readonly EndpointRecord[] {
    return [...this.#endpoints.values()];
  }

  endpointsOf(networkId: string): readonly EndpointRecord[] {
    return this.endpoints().filter(({ endpoint }) => endpoint.networkId === networkId);
  }

  endpoint(containerId: string): EndpointRecord | undefined {
    return this.#endpoints.get(containerId);
  }

  addEndpoint({ endpoint, slot, dns }: EndpointRecord): void {
    this.#db.run(
      "INSERT INTO endpoint VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      endpoint.containerId,
      endpoint.networkId,
      endpoint.name,
      endpoint.ip,
      slot,
      endpoint.mac,
      JSON.stringify(endpoint.aliases),
      JSON.stringify(endpoint.ports),
      JSON.stringify(dns),
    );
    this.#endpoints.set(endpoint.containerId, { endpoint, slot, dns });
  }

  renameEndpoint(containerId: string, name: string): void {
    const record = this.#endpoints.get(containerId);
    if (record === undefined) return;
    this.#db.run("UPDATE endpoint SET name = ? WHERE container_id = ?", name, containerId);
    this.#endpoints.set(containerId, { ...record, endpoint: { ...record.endpoint, name } });
  }

  removeEndpoint(containerId: string): void {
    this.#db.run("DELETE FROM endpoint WHERE container_id = ?", containerId);
    this.#endpoints.delete(containerId);
  }

  transaction(work: () => void): void {
    this.#db.transaction(work);
  }

  #freeNumber(): number {
    const used = new Set(this.networks().map((record) => record.bridge?.number));
    for (let number = 0; ; number++) if (!used.has(number)) return number;
  }

  #reload(id: string): NetworkRecord {
    const row = this.#db.get("SELECT * FROM network WHERE id = ?", id);
    if (row === undefined) throw new GantryError("internal", `network ${id} has no record`);
    return this.#rememberNetwork(row);
  }

  #rememberNetwork(row: Row): NetworkRecord {
    const record = networkOf(row, this.#instance);
    this.#networks.set(record.network.id, record);
    return record;
  }

  #rememberEndpoint(row: Row): void {
    const bridge = this.find(String(row["network_id"])).bridge;
    if (bridge === undefined)
      throw new GantryError("corrupt", `an endpoint's network ${String(row["network_id"])} has no bridge`);
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
    this.#endpoints.set(endpoint.containerId, {
      endpoint,
      slot: Number(row["slot"]),
      dns: texts(row["dns"]),
    });
  }
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

function addressColumns(addresses: AddressPlan | undefined): readonly SqlValue[] {
  if (addresses === undefined) return [null, null, null];
  return [formatSubnet(addresses.subnet), formatIpv4(addresses.gateway), formatSubnet(addresses.range)];
}

function networkOf(row: Row, instance: string): NetworkRecord {
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
