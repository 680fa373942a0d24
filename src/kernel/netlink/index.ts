/** netlink: the conversation and rtnetlink's requests and replies. */
import { parseAddresses, parseLinks, parseRoutes } from "./route-replies.ts";
import { routeRequests } from "./route.ts";

export type { NetlinkReply } from "./message.ts";
export { type DescribedMessage, Netlink, NETLINK_NETFILTER, NETLINK_ROUTE } from "./netlink.ts";
export type { Link, LinkAddress, Route } from "./route-replies.ts";
export type { MessageWithPid, VethOptions } from "./route.ts";

/** rtnetlink: requests as bytes, replies as data. */
export const route = { ...routeRequests, parseLinks, parseAddresses, parseRoutes } as const;
