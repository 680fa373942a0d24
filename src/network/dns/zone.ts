/** Makes a network's zone of its endpoints. Pure. */
import { shortId } from "../../lib/index.ts";
import { type Ipv4, parseCidr, parseIpv4 } from "../ipv4.ts";
import type { Endpoint } from "../types.ts";
import type { Zone } from "./answer.ts";

/** Name, short id, then aliases of each container. A name wins over another container's alias, as in Docker. */
export function zoneOf(networkName: string, subnet: string, endpoints: readonly Endpoint[]): Zone {
  const addresses = new Map<string, readonly Ipv4[]>();
  const names = new Map<Ipv4, string>();
  for (const endpoint of endpoints) {
    const ip = parseIpv4(endpoint.ip);
    names.set(ip, endpoint.name);
    for (const name of [endpoint.name, shortId(endpoint.containerId)])
      addresses.set(name.toLowerCase(), [ip]);
  }
  const own = new Set(addresses.keys());
  for (const endpoint of endpoints) {
    const ip = parseIpv4(endpoint.ip);
    for (const alias of new Set(endpoint.aliases.map((text) => text.toLowerCase()))) {
      if (!own.has(alias)) addresses.set(alias, [...(addresses.get(alias) ?? []), ip]);
    }
  }
  return { networkName, subnet: parseCidr(subnet).subnet, addresses, names };
}
