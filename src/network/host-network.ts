/** What an engine's records say, made true in the kernel: bridges, DNS servers, the nftables table. */
import type { Sys } from "../kernel/index.ts";
import { GantryError, type Logger, messageOf } from "../lib/index.ts";
import type { DnsServers } from "./dns-servers.ts";
import { enableForwarding, HostLinks, takenSubnets } from "./host-links.ts";
import { HostTable } from "./host-table.ts";
import { chooseAddresses } from "./ipam.ts";
import { subnetsOverlap, type Subnet } from "./ipv4.ts";
import { vethName } from "./names.ts";
import type { EndpointRecord, NetworkRecord } from "./network-rows.ts";
import type { NetworkStore } from "./network-store.ts";
import type { AddressPool } from "./pools.ts";
import type { BridgeNetwork, Network } from "./types.ts";

export interface HostNetworkOptions {
  readonly sys: Sys;
  readonly logger: Logger;
  readonly instance: string;
  readonly store: NetworkStore;
  readonly dns: DnsServers;
  readonly pools: readonly AddressPool[];
}

type BridgeRecord = NonNullable<NetworkRecord["bridge"]>;

export class HostNetwork {
  readonly #options: HostNetworkOptions;
  readonly #indexes = new Map<string, number>();
  #settingUp: Promise<void> = Promise.resolve();
  #links: HostLinks | undefined;
  #table: HostTable | undefined;

  constructor(options: HostNetworkOptions) {
    this.#options = options;
  }

  /** True when bridge networks can be used, and the bridge is still there. */
  isReady(bridge?: BridgeNetwork): boolean {
    if (this.#table === undefined) return false;
    return (
      bridge === undefined ||
      this.#options.sys.ifNameToIndex(bridge.device) === this.#indexes.get(bridge.network.id)
    );
  }

  /** Interface number of a bridge. @throws {GantryError} "internal" before setUp */
  bridgeIndex({ network, device }: BridgeNetwork): number {
    const index = this.#indexes.get(network.id);
    if (index === undefined) throw new GantryError("internal", `bridge ${device} is not set up`);
    return index;
  }

  /**
   * Makes or repairs all that the records ask for.
   * @throws {GantryError} "unsupported" without nftables, "denied" without the right
   */
  async setUp(): Promise<void> {
    // One after the other: two at once would start a network's DNS server twice.
    const turn = this.#settingUp.then(() => this.#setUpAll());
    this.#settingUp = turn.catch(() => undefined);
    await turn;
  }

  async #setUpAll(): Promise<void> {
    const { sys, instance, store, dns } = this.#options;
    // First the table, which a kernel may refuse: nothing else is left behind then.
    const table = this.#table ?? new HostTable(sys, instance);
    try {
      this.#replaceTable(table);
      enableForwarding();
      for (const { bridge } of store.networks()) if (bridge !== undefined) await this.#setUpBridge(bridge);
      // Once more: by now it is known where the DNS servers listen.
      this.#replaceTable(table);
    } catch (error) {
      if (this.#table === undefined) table.close();
      throw error;
    }
    this.#table = table;
    for (const { bridge } of store.networks())
      if (bridge !== undefined) dns.endpointsChanged(bridge.network.id);
  }

  async #setUpBridge(recorded: BridgeRecord): Promise<void> {
    const bridge = this.#settleSubnet(recorded);
    this.#indexes.set(bridge.network.id, this.#hostLinks().ensureBridge(bridge));
    await this.#options.dns.start(bridge);
  }

  /**
   * After a reboot another program may have taken a subnet that was chosen by us: then another one is chosen. Without the
   * bridge no container of the network can be alive.
   */
  #settleSubnet(bridge: BridgeRecord): BridgeRecord {
    const { store, logger, sys, pools } = this.#options;
    if (sys.ifNameToIndex(bridge.device) !== 0) return bridge;
    const foreign = this.#foreignSubnets();
    if (!foreign.some((subnet) => subnetsOverlap(subnet, bridge.addresses.subnet))) return bridge;
    const fields = { network: bridge.network.name, subnet: bridge.network.bridge?.subnet };
    if (!bridge.chosen) {
      logger.warn("network.subnet-overlaps", fields);
      return bridge;
    }
    for (const { endpoint } of store.endpointsOf(bridge.network.id))
      store.removeEndpoint(endpoint.containerId);
    logger.warn("network.subnet-moved", fields);
    return (
      store.readdress(bridge.network.id, chooseAddresses([...foreign, ...this.#ownSubnets()], pools), true)
        .bridge ?? bridge
    );
  }

  /** The subnets that a new network must not overlap. */
  takenSubnets(): readonly Subnet[] {
    return [...this.#ownSubnets(), ...this.#foreignSubnets()];
  }

  #ownSubnets(): readonly Subnet[] {
    return this.#options.store
      .networks()
      .flatMap(({ bridge }) => (bridge === undefined ? [] : [bridge.addresses.subnet]));
  }

  #foreignSubnets(): readonly Subnet[] {
    const own = this.#options.store
      .networks()
      .flatMap(({ bridge }) => (bridge === undefined ? [] : [bridge.device]));
    return takenSubnets(this.#hostLinks().view(), new Set(own));
  }

  #hostLinks(): HostLinks {
    this.#links ??= new HostLinks(this.#options.sys, this.#options.instance);
    return this.#links;
  }

  #replaceTable(table: HostTable): void {
    const { store, dns } = this.#options;
    table.replace({
      networks: store
        .networks()
        .flatMap(({ bridge }) =>
          bridge === undefined ? [] : [{ ...bridge, dnsPort: dns.portOf(bridge.network.id) }],
        ),
      endpoints: store.endpoints().map(({ endpoint }) => endpoint),
    });
  }

  /** Takes away a bridge whose record is gone. */
  async removeBridge(network: Network): Promise<void> {
    this.#indexes.delete(network.id);
    if (network.bridge !== undefined) this.#hostLinks().deleteLink(network.bridge.device);
    if (this.#table !== undefined) this.#replaceTable(this.#table);
  }

  /** Takes a container's ports and cable away, if they are still there. Never throws: what stays, `clean` takes. */
  unplug({ endpoint, slot }: Pick<EndpointRecord, "endpoint" | "slot">): void {
    if (this.#table === undefined) return;
    try {
      this.#table.unpublish(endpoint);
      this.#hostLinks().switchOff(vethName(this.#options.instance, endpoint.containerId, slot));
    } catch (error) {
      this.#options.logger.warn("network.unplug-failed", {
        container: endpoint.containerId,
        error: messageOf(error),
      });
    }
  }

  /** Takes away what no record asks for: cables, bridges, elements. */
  async clean(): Promise<void> {
    const { store, instance } = this.#options;
    this.#hostLinks().deleteOthers({
      bridges: new Set(
        store.networks().flatMap(({ bridge }) => (bridge === undefined ? [] : [bridge.device])),
      ),
      cables: new Set(
        store.endpoints().map(({ endpoint, slot }) => vethName(instance, endpoint.containerId, slot)),
      ),
    });
    if (this.#table !== undefined) this.#replaceTable(this.#table);
  }

  /** Takes away everything of this engine. @throws {GantryError} "denied" without the right */
  deleteAll(): void {
    this.#hostLinks().deleteOthers({ bridges: new Set(), cables: new Set() });
    this.#table ??= this.#tryOpenTable();
    if (this.#table?.exists() === true) this.#table.delete();
    this.close();
  }

  #tryOpenTable(): HostTable | undefined {
    try {
      return new HostTable(this.#options.sys, this.#options.instance);
    } catch (error) {
      // A kernel without nftables has no table of ours.
      if (error instanceof GantryError && error.code === "unsupported") return undefined;
      throw error;
    }
  }

  close(): void {
    this.#links?.close();
    this.#table?.close();
    this.#links = undefined;
    this.#table = undefined;
    this.#indexes.clear();
  }
}
