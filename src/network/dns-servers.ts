/** The DNS servers of all networks of an engine, kept in step with the networks and their endpoints. */
import { readFileSync } from "node:fs";
import { isErrno, type Logger, messageOf } from "../lib/index.ts";
import { isLoopback, parseResolvConf, type ResolverConfig } from "./container-files.ts";
import { DnsServer } from "./dns/server.ts";
import { Forwarder } from "./dns/forward.ts";
import type { Zone } from "./dns/answer.ts";
import { zoneOf } from "./dns/zone.ts";
import { formatIpv4, formatSubnet, type Ipv4 } from "./ipv4.ts";
import type { NetworkStore } from "./network-store.ts";
import type { BridgeNetwork } from "./types.ts";

/** Tried first on each gateway, so that flows survive a restart of the engine. */
const usualPort = 10_053;
/** The host's resolv.conf is read again after this time. */
const resolvConfAgeMs = 5_000;

export interface DnsServersOptions {
  readonly store: NetworkStore;
  readonly logger: Logger;
  /** The host's, /etc/resolv.conf. */
  readonly resolvConfPath: string;
}

export class DnsServers {
  readonly #options: DnsServersOptions;
  readonly #forwarder = new Forwarder();
  readonly #servers = new Map<string, DnsServer>();
  readonly #zones = new Map<string, Zone>();
  #host: { readonly config: ResolverConfig; readonly atMs: number } | undefined;

  constructor(options: DnsServersOptions) {
    this.#options = options;
  }

  /** The port that a network's server listens on; 0: it has none. */
  portOf(networkId: string): number {
    return this.#servers.get(networkId)?.port ?? 0;
  }

  /** Starts a network's server. Without one containers still have the host's name servers, so a failure is only told. */
  async start(bridge: BridgeNetwork): Promise<void> {
    if (this.#servers.has(bridge.network.id)) return;
    const { id, name, internal } = bridge.network;
    try {
      const server = await DnsServer.start({
        address: formatIpv4(bridge.addresses.gateway),
        subnet: bridge.addresses.subnet,
        internal,
        zone: () => this.#zone(bridge),
        upstreams: (client) => this.#upstreams(bridge, client),
        forwarder: this.#forwarder,
        port: usualPort,
      });
      this.#servers.set(id, server);
    } catch (error) {
      this.#options.logger.warn("network.dns-failed", { network: name, error: messageOf(error) });
    }
  }

  stop(networkId: string): void {
    this.#servers.get(networkId)?.close();
    this.#servers.delete(networkId);
    this.#zones.delete(networkId);
  }

  /** To be called when endpoints of a network have come, gone or got another name. */
  endpointsChanged(networkId: string): void {
    this.#zones.delete(networkId);
  }

  close(): void {
    for (const server of this.#servers.values()) server.close();
    this.#servers.clear();
    this.#zones.clear();
  }

  /** What the host's resolv.conf says; nothing when it has none. */
  hostConfig(): ResolverConfig {
    const now = performance.now();
    if (this.#host === undefined || now - this.#host.atMs > resolvConfAgeMs) {
      this.#host = { config: readResolvConf(this.#options.resolvConfPath), atMs: now };
    }
    return this.#host.config;
  }

  #zone({ network, addresses }: BridgeNetwork): Zone {
    const known = this.#zones.get(network.id);
    if (known !== undefined) return known;
    const endpoints = this.#options.store.endpointsOf(network.id).map(({ endpoint }) => endpoint);
    const zone = zoneOf(network.name, formatSubnet(addresses.subnet), endpoints);
    this.#zones.set(network.id, zone);
    return zone;
  }

  #upstreams({ network, addresses }: BridgeNetwork, client: Ipv4): readonly string[] {
    const ip = formatIpv4(client);
    const own =
      this.#options.store.endpointsOf(network.id).find(({ endpoint }) => endpoint.ip === ip)?.dns ?? [];
    const servers =
      own.length > 0 ? own.filter((server) => !isLoopback(server)) : this.hostConfig().nameservers;
    // Our own address among them would ask us in a circle.
    return servers.filter((server) => server !== formatIpv4(addresses.gateway));
  }
}

function readResolvConf(path: string): ResolverConfig {
  try {
    return parseResolvConf(readFileSync(path, "utf8"));
  } catch (error) {
    if (isErrno(error, "ENOENT", "EACCES", "EISDIR", "ELOOP"))
      return { nameservers: [], search: [], options: [] };
    throw error;
  }
}
