/** rtnetlink: requests as bytes, replies as data. */
import { parseAddresses, parseLinks, parseRoutes } from "./route-replies.ts";
import { routeRequests } from "./route-requests.ts";

export const route = { ...routeRequests, parseLinks, parseAddresses, parseRoutes } as const;
