/** Containers' places in their networks: reserved before a start, planned, released after the end. */
import type { Sys } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import type { ExtraSteps } from "../runtime/index.ts";
import { mtuOf } from "./create-request.ts";
import type { DnsServers } from "./dns-servers.ts";
import type { HostNetwork } from "./host-network.ts";
import { claimAddress, nextAddress } from "./ipam.ts";
import { formatIpv4, macOf, parseMac } from "./ipv4.ts";
import { maxSlots } from "./names.ts";
import { type EndpointRecord, placeIn, usedAddresses } from "./network-rows.ts";
import type { NetworkStore } from "./network-store.ts";
import { planAttach } from "./plan-attach.ts";
import { reservePorts } from "./reserve-ports.ts";
import type { Attachment, AttachRequest, BridgeNetwork, Endpoint, PublishedPort } from "./types.ts";

export interface AttachmentsOptions {
  readonly sys: Pick<Sys, "bindPort" | "close">;
  readonly instance: string;
  readonly store: NetworkStore;
  readonly dns: Pick<DnsServers, "endpointsChanged">;
  readonly host: Pick<HostNetwork, "bridgeIndex" | "unplug">;
}

export class Attachments {
  readonly #options: AttachmentsOptions;
  /** The slot given last, by network: a fresh container does not get the number of a cable that is just being torn out. */
  readonly #lastSlot = new Map<string, number>();

  constructor(options: AttachmentsOptions) {
    this.#options = options;
  }

  /** @throws {GantryError} "conflict", "exhausted", "invalid", "denied"; nothing is reserved then */
  attach(bridge: BridgeNetwork, request: AttachRequest): Attachment {
    const { store, dns, sys } = this.#options;
    this.release(request.containerId);
    const slot = this.#nextSlot(bridge);
    const place = this.#place(bridge, request);
    const { ports, fds } = this.#reservePorts(request, bridge, place.ip);
    const endpoint: Endpoint = { ...place, ports };
    try {
      store.addEndpoint({ endpoint, slot, dns: request.dns ?? [] });
    } catch (error) {
      for (const fd of fds) sys.close(fd);
      throw error;
    }
    this.#lastSlot.set(bridge.network.id, slot);
    dns.endpointsChanged(bridge.network.id);
    return { endpoint, steps: this.#plan(bridge, { endpoint, slot }), holdFds: fds };
  }

  /** The steps of the present endpoint, or of the one that `attach` would make now. */
  preview(bridge: BridgeNetwork, request: AttachRequest): ExtraSteps {
    const present = this.#options.store.endpoint(request.containerId);
    if (present?.endpoint.networkId === bridge.network.id) return this.#plan(bridge, present);
    const ports: PublishedPort[] = bridge.network.internal
      ? []
      : request.ports.map(({ hostIp, hostPort, containerPort, protocol }) => ({
          hostIp: hostIp === "" ? "0.0.0.0" : hostIp,
          hostPort,
          containerPort,
          protocol,
        }));
    return this.#plan(bridge, {
      endpoint: { ...this.#place(bridge, request), ports },
      slot: this.#nextSlot(bridge),
    });
  }

  /** Frees everything a container had: ports, cable, address, names. Idempotent. */
  release(containerId: string): void {
    const { store, dns, host } = this.#options;
    const record = store.endpoint(containerId);
    if (record === undefined) return;
    // The monitor has done this, unless it was killed.
    host.unplug(record);
    store.removeEndpoint(containerId);
    dns.endpointsChanged(record.endpoint.networkId);
  }

  #place(bridge: BridgeNetwork, request: AttachRequest): Omit<Endpoint, "ports"> {
    const others = this.#options.store
      .endpointsOf(bridge.network.id)
      .filter(({ endpoint }) => endpoint.containerId !== request.containerId);
    const used = usedAddresses(others);
    const wish = request.ip ?? "";
    const address =
      wish === "" ? nextAddress(bridge.addresses, used) : claimAddress(bridge.addresses, used, wish);
    const mac = request.mac === undefined || request.mac === "" ? macOf(address) : parseMac(request.mac);
    const { containerId, name, aliases } = request;
    return { ...placeIn(bridge), containerId, name, ip: formatIpv4(address), mac, aliases };
  }

  #plan(bridge: BridgeNetwork, { endpoint, slot }: Pick<EndpointRecord, "endpoint" | "slot">): ExtraSteps {
    const { instance, host } = this.#options;
    return planAttach({
      instance,
      endpoint,
      bridge,
      bridgeIndex: host.bridgeIndex(bridge),
      slot,
      mtu: mtuOf(bridge.network.options),
    });
  }

  #reservePorts(
    request: AttachRequest,
    { network }: BridgeNetwork,
    ip: string,
  ): ReturnType<typeof reservePorts> {
    // As in Docker: without a way in there is nothing to publish.
    if (network.internal || request.ports.length === 0) return { ports: [], fds: [] };
    const { sys, store } = this.#options;
    const taken = store.endpoints().flatMap(({ endpoint }) => endpoint.ports);
    const { containerId, name, ports } = request;
    return reservePorts(sys, { containerId, name, ip, wanted: ports, taken });
  }

  #nextSlot({ network, device }: BridgeNetwork): number {
    const used = new Set(this.#options.store.endpointsOf(network.id).map(({ slot }) => slot));
    const last = this.#lastSlot.get(network.id) ?? 0;
    for (let step = 0; step < maxSlots; step++) {
      const slot = ((last + step) % maxSlots) + 1;
      if (!used.has(slot)) return slot;
    }
    throw new GantryError(
      "exhausted",
      `network ${network.name} has ${maxSlots} containers, as many as a Linux bridge (${device}) takes`,
      { hint: "create another network: gantry network create NAME" },
    );
  }
}
