/** kernel: what we ask of Linux. */
export { capabilityNames } from "./capabilities.ts";
export { type CgroupLayout, detectCgroups } from "./cgroups.ts";
export { cloneFlags, mountAttr, mountFlags, umountFlags } from "./flags.ts";
export { initProgram } from "./init-program.ts";
export { loadSys } from "./load-sys.ts";
export {
  type DescribedMessage,
  type Link,
  type LinkAddress,
  type MessageWithPid,
  Netlink,
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  type NetlinkReply,
  route,
  type Route,
  type VethOptions,
} from "./netlink/index.ts";
export {
  type BaseChain,
  type DataType,
  type Expression,
  nft,
  type NftChain,
  type NftElement,
  type Selector,
  type SetElement,
  type SetPlace,
  type Verdict,
} from "./nftables/index.ts";
export type { SpawnRequest, Sys } from "./sys.ts";
