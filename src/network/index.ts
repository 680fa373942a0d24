/** network: addresses, bridges, published ports, names. */
export { hostsFile, type HostsRequest } from "./container-files.ts";
export { Networks, type NetworksOptions } from "./networks.ts";
export { planLoopback } from "./plan-attach.ts";
export { isBridgeAddress, isPool, type NetworkDefaults, networkDefaults } from "./pools.ts";
export type {
  Attachment,
  AttachRequest,
  BridgeConfig,
  CreateNetworkRequest,
  Endpoint,
  Network,
  PortRequest,
  PublishedPort,
} from "./types.ts";
