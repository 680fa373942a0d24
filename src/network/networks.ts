/** Networks of one engine: what users create, and where containers are plugged in. */
import { type Database, GantryError, type Logger, messageOf } from "../lib/index.ts";
import type { Sys } from "../kernel/index.ts";
import type { ExtraSteps } from "../runtime/index.ts";
import { Attachments } from "./attachments.ts";
import { resolvConf, type ResolvConfRequest } from "./container-files.ts";
import { checkCreateRequest, mtuOf, mtuOption } from "./create-request.ts";
import { DnsServers } from "./dns-servers.ts";
import { HostNetwork } from "./host-network.ts";
import { planAddresses } from "./ipam.ts";
import { formatIpv4, formatSubnet, parseCidr } from "./ipv4.ts";
import { NetworkStore } from "./network-store.ts";
import { type NetworkDefaults, networkDefaults } from "./pools.ts";
import { withSubnetLock } from "./subnet-lock.ts";
import type {
  AttachRequest,
  Attachment,
  BridgeNetwork,
  CreateNetworkRequest,
  Endpoint,
  Network,
} from "./types.ts";

export interface NetworksOptions {
  readonly db: Database;
  readonly sys: Sys;
  readonly logger: Logger;
  /** "" or 6 hex digits, part of every name in the kernel. */
  readonly instance: string;
  /** The host's; /etc/resolv.conf when absent. */
  readonly resolvConfPath?: string;
  readonly defaults?: NetworkDefaults;
  readonly now?: () => number;
}

export class Networks {
  readonly #logger: Logger;
  readonly #defaults: NetworkDefaults;
  readonly #now: () => number;
  readonly #store: NetworkStore;
  readonly #dns: DnsServers;
  readonly #host: HostNetwork;
  readonly #attachments: Attachments;

  private constructor(options: NetworksOptions) {
    this.#logger = options.logger;
    this.#defaults = options.defaults ?? networkDefaults;
    const { pools } = this.#defaults;
    this.#now = options.now ?? Date.now;
    this.#store = new NetworkStore(options.db, options.instance);
    const resolvConfPath = options.resolvConfPath ?? "/etc/resolv.conf";
    this.#dns = new DnsServers({ store: this.#store, logger: options.logger, resolvConfPath });
    this.#host = new HostNetwork({ ...options, store: this.#store, dns: this.#dns, pools });
    this.#attachments = new Attachments({ ...options, store: this.#store, dns: this.#dns, host: this.#host });
  }

  /**
   * Makes what is missing: records of the predefined networks, bridges, sysctls, the nftables table. Where the kernel has no
   * nftables or we lack the right, this succeeds all the same, and `attach` tells why it cannot.
   */
  static async open(options: NetworksOptions): Promise<Networks> {
    const networks = new Networks(options);
    await withSubnetLock(options.logger, async () => {
      networks.#addPredefined();
      await networks.#settleBridge();
      try {
        await networks.#host.setUp();
      } catch (error) {
        if (!(error instanceof GantryError)) throw error;
        options.logger.warn("network.unavailable", { error: error.message });
      }
    });
    return networks;
  }

  #addPredefined(): void {
    const known = new Set(this.#store.networks().map(({ network }) => network.name));
    const base = {
      createdAtMs: this.#now(),
      internal: false,
      attachable: false,
      predefined: true,
      labels: {},
      options: {},
    };
    if (!known.has("bridge")) {
      const { pools } = this.#defaults;
      const plan = planAddresses({ subnet: "", gateway: "", range: "" }, this.#host.takenSubnets(), pools);
      const addresses = { ...plan, chosen: true };
      this.#store.addNetwork({ ...base, name: "bridge", driver: "bridge", addresses });
    }
    if (!known.has("host"))
      this.#store.addNetwork({ ...base, name: "host", driver: "host", addresses: undefined });
    if (!known.has("none"))
      this.#store.addNetwork({ ...base, name: "none", driver: "null", addresses: undefined });
  }

  /** The network `bridge` as the settings want it; where containers are plugged in it stays where it is. */
  async #settleBridge(): Promise<void> {
    const { bip, mtu } = this.#defaults;
    const { network, bridge } = this.#store.find("bridge");
    if (mtuOf(network.options) !== mtu)
      this.#store.setOptions(network.id, mtu === 0 ? {} : { [mtuOption]: String(mtu) });
    if (bip === undefined || bridge === undefined) return;
    const { subnet, address: gateway } = parseCidr(bip);
    const { addresses } = bridge;
    if (formatSubnet(addresses.subnet) === formatSubnet(subnet) && addresses.gateway === gateway) return;
    if (this.#store.endpointsOf(network.id).length > 0) {
      this.#logger.warn("network.bip-later", { bip, message: "containers use the network bridge as it is" });
      return;
    }
    try {
      await this.#host.removeBridge(network);
    } catch (error) {
      // Without the right to networks there is no bridge either.
      if (!(error instanceof GantryError)) throw error;
    }
    this.#store.readdress(network.id, { subnet, gateway, range: subnet }, false);
  }

  list(): readonly Network[] {
    return this.#store.networks().map(({ network }) => network);
  }

  /** By name, id or start of an id. @throws {GantryError} "not-found" */
  find(nameOrId: string): Network {
    return this.#store.find(nameOrId).network;
  }

  /** The containers that are plugged in. */
  endpointsOf(networkId: string): readonly Endpoint[] {
    return this.#store.endpointsOf(networkId).map(({ endpoint }) => endpoint);
  }

  /** @throws {GantryError} "conflict" name, "invalid" request, "denied" subnet, "exhausted" pools, "unsupported" kernel */
  async create(request: CreateNetworkRequest): Promise<Network> {
    checkCreateRequest(request);
    if (this.list().some(({ name }) => name === request.name)) {
      throw new GantryError("conflict", `network with name ${request.name} already exists`);
    }
    await this.#ready();
    return await withSubnetLock(this.#logger, async () => {
      const [ipam = { subnet: "", gateway: "", ipRange: "" }] = request.ipam;
      const plan = planAddresses(
        { ...ipam, range: ipam.ipRange },
        this.#host.takenSubnets(),
        this.#defaults.pools,
      );
      // Looked at again: another request of the same name may have come while we waited for the lock.
      if (this.list().some(({ name }) => name === request.name)) {
        throw new GantryError("conflict", `network with name ${request.name} already exists`);
      }
      const { network } = this.#store.addNetwork({
        ...request,
        driver: "bridge",
        createdAtMs: this.#now(),
        predefined: false,
        addresses: { ...plan, chosen: ipam.subnet === "" },
      });
      try {
        await this.#host.setUp();
      } catch (error) {
        await this.#drop(network);
        throw error;
      }
      return network;
    });
  }

  /** @throws {GantryError} "not-found", or "denied" for predefined networks and those with containers */
  async remove(nameOrId: string): Promise<void> {
    const { network } = this.#store.find(nameOrId);
    if (network.predefined)
      throw new GantryError("denied", `${network.name} is a pre-defined network and cannot be removed`);
    const endpoints = this.endpointsOf(network.id);
    if (endpoints.length > 0) {
      const names = endpoints.map((endpoint) => endpoint.name).join(", ");
      throw new GantryError(
        "denied",
        `error while removing network: network ${network.name} id ${network.id} has active endpoints`,
        {
          hint: `stop these containers first: ${names}`,
        },
      );
    }
    await this.#drop(network);
  }

  /** The record goes first: a crash in between leaves things that no record wants, which the next start deletes. */
  async #drop(network: Network): Promise<void> {
    this.#store.removeNetwork(network.id);
    this.#dns.stop(network.id);
    await this.#host.removeBridge(network);
  }

  /** Removes the user's networks without containers that `mayGo` agrees to. @returns their names */
  async prune(mayGo: (network: Network) => boolean = () => true): Promise<string[]> {
    const removed: string[] = [];
    for (const network of this.list()) {
      if (network.predefined || this.#store.endpointsOf(network.id).length > 0 || !mayGo(network)) continue;
      await this.remove(network.id);
      removed.push(network.name);
    }
    return removed;
  }

  /**
   * Reserves an address and host ports for a container that is about to start, in a record, and plans its cable.
   * @throws {GantryError} "conflict" port taken, "exhausted" addresses, "unsupported" kernel …; nothing is reserved then
   */
  async attach(request: AttachRequest): Promise<Attachment> {
    const bridge = this.#bridgeOf(request.network);
    await this.#ready(bridge);
    return this.#attachments.attach(bridge, request);
  }

  /** The steps of `attach`, for a container that is attached or would be; nothing is reserved. @throws as attach */
  preview(request: AttachRequest): ExtraSteps {
    return this.#attachments.preview(this.#bridgeOf(request.network), request);
  }

  #bridgeOf(nameOrId: string): BridgeNetwork {
    const { network, bridge } = this.#store.find(nameOrId);
    if (bridge === undefined)
      throw new GantryError("invalid", `network ${network.name} has no addresses to give`);
    return bridge;
  }

  /** After a container's end, and after an attachment that did not lead to one: frees everything it had. Idempotent. */
  release(containerId: string): void {
    this.#attachments.release(containerId);
  }

  endpoint(containerId: string): Endpoint | undefined {
    return this.#store.endpoint(containerId)?.endpoint;
  }

  /** The container's new name, in DNS from now on. */
  rename(containerId: string, name: string): void {
    this.#store.renameEndpoint(containerId, name);
    const record = this.#store.endpoint(containerId);
    if (record !== undefined) this.#dns.endpointsChanged(record.endpoint.networkId);
  }

  /** At the engine's start: forgets the endpoints of containers that are not `alive`, with cables and port elements. */
  async reconcile(alive: ReadonlySet<string>): Promise<void> {
    this.#store.transaction(() => {
      for (const { endpoint } of this.#store.endpoints()) {
        if (!alive.has(endpoint.containerId)) this.#store.removeEndpoint(endpoint.containerId);
      }
    });
    for (const { id } of this.list()) this.#dns.endpointsChanged(id);
    try {
      await this.#host.clean();
    } catch (error) {
      if (!(error instanceof GantryError)) throw error;
      this.#logger.warn("network.unavailable", { error: messageOf(error) });
    }
  }

  /**
   * The text of /etc/resolv.conf for a container of a network (its name or id), or without one, as the host resolves.
   */
  resolvConf(
    network: string | undefined,
    wishes: Pick<ResolvConfRequest, "dns" | "search" | "options">,
  ): string {
    const record = network === undefined ? undefined : this.#store.find(network);
    const bridge = record?.bridge;
    const server =
      bridge !== undefined && this.#dns.portOf(bridge.network.id) !== 0
        ? formatIpv4(bridge.addresses.gateway)
        : "";
    return resolvConf({
      ...wishes,
      server,
      internal: record?.network.internal ?? false,
      host: this.#dns.hostConfig(),
    });
  }

  /** The host's address on a bridge network, for `host-gateway`; "" for other networks. */
  gatewayOf(network: string): string {
    return this.#store.find(network).network.bridge?.gateway ?? "";
  }

  async #ready(bridge?: BridgeNetwork): Promise<void> {
    if (!this.#host.isReady(bridge)) await this.#host.setUp();
  }

  /** Removes everything of this engine from the kernel, for `system uninstall`. Containers lose their network. */
  async deleteAll(): Promise<void> {
    for (const { endpoint } of this.#store.endpoints()) this.#store.removeEndpoint(endpoint.containerId);
    await this.close();
    this.#host.deleteAll();
  }

  /** Stops the DNS servers. Containers, bridges and rules stay. */
  async close(): Promise<void> {
    this.#dns.close();
    this.#host.close();
  }
}
