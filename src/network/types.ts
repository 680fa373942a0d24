/** The nouns of this room. */
import type { ExtraSteps } from "../runtime/index.ts";
import type { AddressPlan } from "./ipam.ts";

export type NetworkDriver = "bridge" | "host" | "null";

export interface Network {
  readonly id: string;
  readonly name: string;
  readonly driver: NetworkDriver;
  readonly createdAtMs: number;
  /** No way out of the network, none in. */
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** bridge, host and none: they cannot be removed. */
  readonly predefined: boolean;
  /** Of driver bridge only. */
  readonly bridge: BridgeConfig | undefined;
}

export interface BridgeConfig {
  /** The interface on the host. */
  readonly device: string;
  readonly subnet: string;
  readonly gateway: string;
  /** "" when the whole subnet is used. */
  readonly ipRange: string;
}

/** A bridge network as this room works with it. */
export interface BridgeNetwork {
  readonly network: Network;
  readonly device: string;
  readonly addresses: AddressPlan;
}

export interface CreateNetworkRequest {
  readonly name: string;
  /** "" means bridge. */
  readonly driver: string;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly ipv6: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** One at most. */
  readonly ipam: readonly { readonly subnet: string; readonly gateway: string; readonly ipRange: string }[];
  /** "" means default. */
  readonly ipamDriver: string;
}

export interface PortRequest {
  readonly protocol: "tcp" | "udp";
  readonly containerPort: number;
  /** "" and 0.0.0.0: all addresses of the host. */
  readonly hostIp: string;
  /** 0: the kernel picks a free one. */
  readonly hostPort: number;
  /** The last of a range of which the first free one is taken. */
  readonly hostPortEnd?: number;
}

export interface PublishedPort {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp";
}

/** A container's place in its network. */
export interface Endpoint {
  readonly containerId: string;
  /** The container's name, which is its first name in DNS. */
  readonly name: string;
  readonly networkName: string;
  readonly networkId: string;
  readonly ip: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly mac: string;
  readonly aliases: readonly string[];
  readonly ports: readonly PublishedPort[];
}

export interface AttachRequest {
  readonly containerId: string;
  readonly name: string;
  /** Name or id of a bridge network. */
  readonly network: string;
  readonly ip?: string;
  readonly mac?: string;
  readonly aliases: readonly string[];
  readonly ports: readonly PortRequest[];
  /** Name servers that answer this container's questions about the world, in place of the host's (`--dns`). */
  readonly dns?: readonly string[];
}

export interface Attachment {
  readonly endpoint: Endpoint;
  readonly steps: ExtraSteps;
  /** Sockets that hold the published ports of the host. The caller hands them to the monitor, then closes its copies. */
  readonly holdFds: readonly number[];
}
