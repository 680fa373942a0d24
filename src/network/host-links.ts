/** Bridges and cables of one engine on this host, through rtnetlink and /proc/sys/net. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type Link, type LinkAddress, Netlink, NETLINK_ROUTE, route, type Sys } from "../kernel/index.ts";
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";
import { formatIpv4, macOf, parseCidr, parseIpv4, type Subnet, subnetOf } from "./ipv4.ts";
import { blockSize, bridgeNumber, firstBlock, isVethName, lastBlock } from "./names.ts";
import type { BridgeNetwork } from "./types.ts";

export interface HostView {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  /** Destinations of the main table. */
  readonly routes: readonly { readonly subnet: Subnet; readonly index: number }[];
}

const mainTable = 254;
/** Engines that could take an interface number at the same moment. */
const maxAttempts = 32;

export class HostLinks {
  readonly #netlink: Netlink;
  readonly #instance: string;

  /** @throws errno errors of opening a netlink socket */
  constructor(sys: Sys, instance: string) {
    this.#netlink = new Netlink(sys, NETLINK_ROUTE);
    this.#instance = instance;
  }

  view(): HostView {
    const ask = (message: Uint8Array, description: string) =>
      this.#netlink.request([{ message, description }]);
    const routes = route
      .parseRoutes(ask(route.dumpRoutes(), "list routes"))
      .filter((item) => item.table === mainTable);
    return {
      links: route.parseLinks(ask(route.dumpLinks(), "list interfaces")),
      addresses: route.parseAddresses(ask(route.dumpAddresses(), "list addresses")),
      routes: routes
        .filter((item) => item.destination !== "default")
        .map((item) => ({ subnet: parseCidr(item.destination).subnet, index: item.index })),
    };
  }

  /**
   * Makes a network's bridge, or repairs what is there.
   * @returns its interface number
   * @throws {GantryError} "conflict" when an interface of this name is something else
   */
  ensureBridge(bridge: BridgeNetwork): number {
    const view = this.view();
    let link = view.links.find(({ name }) => name === bridge.device);
    if (link !== undefined && link.kind !== "bridge") {
      throw new GantryError("conflict", `interface ${bridge.device} exists already and is not a bridge`, {
        hint: "rename or delete it",
      });
    }
    // Cables get the numbers behind their bridge's: one that was made otherwise cannot be used.
    if (link !== undefined && (link.index < firstBlock || (link.index - firstBlock) % blockSize !== 0)) {
      this.deleteLink(bridge.device);
      link = undefined;
    }
    const index = link?.index ?? this.#createBridge(bridge, view.links);
    setBridgeSysctls(bridge.device);
    this.#setAddress(index, bridge, view.addresses);
    if (link?.up !== true)
      this.#netlink.request([{ message: route.linkUp(index), description: `switch on ${bridge.device}` }]);
    return index;
  }

  #createBridge(bridge: BridgeNetwork, links: readonly Link[]): number {
    const used = new Set(links.map(({ index }) => Math.floor((index - firstBlock) / blockSize)));
    // A fixed hardware address: without one a bridge takes over that of a cable, and changes it as cables come and go.
    const mac = macOf(bridge.addresses.gateway);
    let attempts = 0;
    for (let block = 0; firstBlock + block * blockSize < lastBlock && attempts < maxAttempts; block++) {
      if (used.has(block)) continue;
      attempts++;
      const index = firstBlock + block * blockSize;
      try {
        this.#netlink.request([
          {
            message: route.createBridge(bridge.device, mac, index),
            description: `create bridge ${bridge.device}`,
          },
        ]);
        return index;
      } catch (error) {
        // Another engine took the number between our look and our wish.
        if (!isKernelError(error, "EBUSY", "EEXIST")) throw error;
      }
    }
    throw new GantryError("exhausted", "no interface numbers are left for another bridge");
  }

  #setAddress(index: number, { device, addresses }: BridgeNetwork, present: readonly LinkAddress[]): void {
    const gateway = formatIpv4(addresses.gateway);
    const { prefix } = addresses.subnet;
    const own = present.filter((address) => address.index === index);
    for (const old of own) {
      if (old.address === gateway && old.prefixLength === prefix) continue;
      this.#netlink.request([
        {
          message: route.deleteAddress(index, old.address, old.prefixLength),
          description: `clear ${device}`,
        },
      ]);
    }
    if (own.some((old) => old.address === gateway && old.prefixLength === prefix)) return;
    this.#netlink.request([
      {
        message: route.addAddress(index, gateway, prefix),
        description: `give ${device} the address ${gateway}/${prefix}`,
      },
    ]);
  }

  /** A missing one is fine. */
  deleteLink(name: string): void {
    try {
      this.#netlink.request([{ message: route.deleteLink(name), description: `delete interface ${name}` }]);
    } catch (error) {
      if (!isKernelError(error, "ENODEV")) throw error;
    }
  }

  /** Cuts a cable at once; it goes with its container's namespace. A missing one is fine. */
  switchOff(name: string): void {
    try {
      this.#netlink.request([{ message: route.linkDown(name), description: `switch off ${name}` }]);
    } catch (error) {
      if (!isKernelError(error, "ENODEV")) throw error;
    }
  }

  /** Deletes the bridges and cables of this engine that `keep` does not want. */
  deleteOthers(keep: { readonly bridges: ReadonlySet<string>; readonly cables: ReadonlySet<string> }): void {
    for (const { name, kind } of this.view().links) {
      const lostCable = kind === "veth" && isVethName(this.#instance, name) && !keep.cables.has(name);
      const lostBridge =
        kind === "bridge" && bridgeNumber(this.#instance, name) !== undefined && !keep.bridges.has(name);
      if (lostCable || lostBridge) this.deleteLink(name);
    }
  }

  close(): void {
    this.#netlink.close();
  }
}

/** The subnets in use on this host, apart from those on the interfaces of `own`. */
export function takenSubnets(view: HostView, own: ReadonlySet<string>): readonly Subnet[] {
  const ownIndexes = new Set(view.links.filter(({ name }) => own.has(name)).map(({ index }) => index));
  return [
    ...view.addresses
      .filter(({ index }) => !ownIndexes.has(index))
      .map(({ address, prefixLength }) => subnetOf(parseIpv4(address), prefixLength)),
    ...view.routes.filter(({ index }) => !ownIndexes.has(index)).map(({ subnet }) => subnet),
  ];
}

/** True for a GantryError made of one of these errnos of the kernel. */
export function isKernelError(error: unknown, ...errnos: readonly string[]): boolean {
  return error instanceof GantryError && errnos.includes(String(error.fields["errno"]));
}

/**
 * route_localnet lets connections of the host to 127.0.0.1 go to a container; the rules of table.ts keep containers from
 * using it the other way round (CVE-2020-8558). No IPv6 on a bridge, so no container can make the host believe in its
 * router advertisements (CVE-2020-13401).
 */
function setBridgeSysctls(device: string): void {
  setSysctl(`ipv4/conf/${device}/route_localnet`, "1");
  if (existsSync("/proc/sys/net/ipv6")) setSysctl(`ipv6/conf/${device}/disable_ipv6`, "1");
}

/** Packets go through this host: between containers and the world. */
export function enableForwarding(): void {
  setSysctl("ipv4/ip_forward", "1");
}

function setSysctl(key: string, value: string): void {
  const path = `/proc/sys/net/${key}`;
  try {
    if (readFileSync(path, "utf8").trim() === value) return;
    writeFileSync(path, value);
  } catch (error) {
    const hint = isErrno(error, "EROFS", "EACCES", "EPERM")
      ? { hint: "run the engine as root with /proc/sys writable" }
      : {};
    const { code, message } = toGantryError(error, `set sysctl net.${key.replaceAll("/", ".")} to ${value}`);
    throw new GantryError(code, message, { cause: error, ...hint });
  }
}
