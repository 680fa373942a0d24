/** kernel: what we ask of Linux. */
export { capabilityNames } from "./capabilities.ts";
export { type CgroupLayout, parseCgroupLayout } from "./cgroups.ts";
export { sendDatagram } from "./datagram.ts";
export { keepAs, keepOverExec, queueAt } from "./handover.ts";
export { detectCgroups } from "./detect-cgroups.ts";
export { compileDeviceProgram, type DeviceRule } from "./device-program.ts";
export { cloneFlags, mountAttr, mountFlags } from "./flags.ts";
export { initProgram } from "./init-program.ts";
export { becomeOciRuntime } from "./oci-program.ts";
export { loadSys } from "./load-sys.ts";
export { flushUdpFlows } from "./netlink/conntrack.ts";
export type { NetlinkReply } from "./netlink/message.ts";
export { type DescribedMessage, Netlink, NETLINK_NETFILTER, NETLINK_ROUTE } from "./netlink/netlink.ts";
export type { Link, LinkAddress, Route } from "./netlink/route-replies.ts";
export type { MessageWithPid, VethOptions } from "./netlink/route-requests.ts";
export { route } from "./netlink/route.ts";
export type { Expression, Selector, Verdict } from "./nftables/expressions.ts";
export { nft } from "./nftables/nft.ts";
export type { NftChain, NftElement } from "./nftables/replies.ts";
export type { BaseChain, SetElement, SetPlace } from "./nftables/requests.ts";
export type { DataType } from "./nftables/values.ts";
export { compileSeccomp } from "./seccomp/compile-seccomp.ts";
export { defaultSeccompProfile } from "./seccomp/default-profile.ts";
export { seccompFeatures } from "./seccomp/seccomp-features.ts";
export type {
  SeccompAction,
  SeccompArgument,
  SeccompOperator,
  SeccompProfile,
  SeccompRule,
} from "./seccomp/profile.ts";
export type { SpawnRequest, Sys } from "./sys.ts";
export { parseSignal } from "./signals.ts";
