/** The records of networks and endpoints: SQLite, mirrored in memory. Knows nothing of the kernel. */
import { type Database, GantryError, newId, type Row } from "../lib/index.ts";
import type { AddressPlan } from "./ipam.ts";
import {
  addressColumns,
  type EndpointRecord,
  type NetworkRecord,
  readEndpoint,
  readNetwork,
  schema,
} from "./network-rows.ts";
import type { NetworkDriver } from "./types.ts";

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
      throw new GantryError("not-found", `network ${nameOrId.slice(0, 200)} not found`, {
        hint: "see what there is with: gantry network ls",
      });
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

  /** Moves a network without endpoints to another subnet. @param chosen by us, and not the user's wish */
  readdress(id: string, addresses: AddressPlan, chosen: boolean): NetworkRecord {
    this.#db.run(
      "UPDATE network SET subnet = ?, gateway = ?, ip_range = ?, chosen = ? WHERE id = ?",
      ...addressColumns(addresses),
      Number(chosen),
      id,
    );
    return this.#reload(id);
  }

  setOptions(id: string, options: Readonly<Record<string, string>>): void {
    this.#db.run("UPDATE network SET options = ? WHERE id = ?", JSON.stringify(options), id);
    this.#reload(id);
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
    const record = readNetwork(row, this.#instance);
    this.#networks.set(record.network.id, record);
    return record;
  }

  #rememberEndpoint(row: Row): void {
    const record = readEndpoint(row, this.find(String(row["network_id"])));
    this.#endpoints.set(record.endpoint.containerId, record);
  }
}
