/** HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go's programs, docker among them, read them. Pure. */
import { BlockList, isIP } from "node:net";
import { GantryError } from "../lib/index.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for an address; undefined: go there directly. Loopback is never proxied.
 * @throws {GantryError} "unsupported" for a proxy that speaks no HTTP
 */
export function proxyFor(url: URL, environment: Environment): string | undefined {
  const read = (name: string): string => environment[name] || environment[name.toLowerCase()] || "";
  const proxy = url.protocol === "https:" ? read("HTTPS_PROXY") : read("HTTP_PROXY");
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (proxy === "" || host === "localhost" || isLoopback(host)) return undefined;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  for (const rule of read("NO_PROXY").split(","))
    if (excludes(rule.trim().toLowerCase(), host, port)) return undefined;
  const address = /^[a-z0-9+.-]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
  if (URL.canParse(address) && /^https?:\/\//i.test(address)) return address;
  // The address may hold a password: it is not shown.
  throw new GantryError("unsupported", "the proxy of the environment is no http or https address", {
    hint: "see HTTP_PROXY and HTTPS_PROXY; SOCKS proxies are not supported",
  });
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function excludes(rule: string, host: string, port: string): boolean {
  if (rule === "") return false;
  if (rule === "*") return true;
  if (rule.includes("/")) return inSubnet(rule, host);
  const colon = /^(.+):(\d+)$/.exec(rule);
  const [name, wanted] = colon === null || isIP(rule) === 6 ? [rule, ""] : [colon[1] ?? "", colon[2] ?? ""];
  if (wanted !== "" && wanted !== port) return false;
  const bare = name.replace(/^\[|\]$/g, "");
  if (isIP(bare) !== 0) return inSubnet(`${bare}/${isIP(bare) === 4 ? 32 : 128}`, host);
  if (isIP(host) !== 0) return false;
  if (bare.startsWith("*.")) return host.endsWith(bare.slice(1));
  return bare.startsWith(".") ? host.endsWith(bare) : host === bare || host.endsWith(`.${bare}`);
}

/** True when an address lies in `10.0.0.0/8` or the like. A rule that is none holds nothing. */
export function inSubnet(rule: string, host: string): boolean {
  const [network = "", bits = ""] = rule.split("/");
  const family = isIP(host);
  if (family === 0 || family !== isIP(network) || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family === 4 ? "ipv4" : "ipv6");
  return list.check(host, family === 4 ? "ipv4" : "ipv6");
}
