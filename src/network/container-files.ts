/** The texts of /etc/hosts and /etc/resolv.conf of a container. Pure. */
import { GantryError } from "../lib/index.ts";
import { tryParseIpv4 } from "./ipv4.ts";

export interface HostsRequest {
  readonly hostname: string;
  /** "" when there is none. */
  readonly domainname: string;
  /** "" without a network of its own. */
  readonly ip: string;
  /** `--add-host`: `name:ip` or `name=ip`; the address `host-gateway` is the host. */
  readonly extraHosts: readonly string[];
  /** What `host-gateway` stands for; "" when there is none. */
  readonly gateway: string;
}

const standardHosts = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/** @throws {GantryError} "invalid" for a malformed `--add-host` */
export function hostsFile(request: HostsRequest): string {
  const lines = request.extraHosts.map((text) => hostLine(text, request.gateway));
  if (request.ip !== "") {
    const full = request.domainname === "" ? "" : `${request.hostname}.${request.domainname} `;
    lines.push(`${request.ip}\t${full}${request.hostname}\n`);
  }
  return standardHosts + lines.join("");
}

function hostLine(text: string, gateway: string): string {
  const at = text.search(/[:=]/);
  const name = text.slice(0, Math.max(at, 0));
  const given = text.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
  const address = given === "host-gateway" ? gateway : given;
  const isAddress = tryParseIpv4(address) !== undefined || /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(address);
  if (at < 1 || !isAddress || !/^[^\s#]+$/.test(name)) {
    throw new GantryError("invalid", `invalid extra host: ${JSON.stringify(text.slice(0, 200))}`, {
      hint: given === "host-gateway" ? "host-gateway needs a bridge network" : "write it as name:address",
    });
  }
  return `${address}\t${name}\n`;
}

/** What a resolv.conf says (resolv.conf(5)). */
export interface ResolverConfig {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** Reads a resolv.conf; unknown lines are passed over as resolvers do. */
export function parseResolvConf(text: string): ResolverConfig {
  const nameservers: string[] = [];
  let search: string[] = [];
  const options: string[] = [];
  for (const line of text.slice(0, 65_536).split("\n")) {
    const [key = "", ...values] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    if (key === "nameserver" && values[0] !== undefined) nameservers.push(values[0]);
    // The last of several `search` and `domain` lines counts.
    else if (key === "search" || key === "domain") search = values;
    else if (key === "options") options.push(...values);
  }
  return { nameservers, search, options };
}

/** True for addresses that mean the host itself and are therefore of no use inside a container. */
export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1" || address === "0.0.0.0" || address === "::";
}

export interface ResolvConfRequest {
  /** The network's DNS server, "" when it has none. */
  readonly server: string;
  /** A network without a way out gets no other servers. */
  readonly internal: boolean;
  /** `--dns`, `--dns-search`, `--dns-option`: each, when not empty, in place of the host's. */
  readonly dns: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
  readonly host: ResolverConfig;
}

/** C libraries read no more than this (MAXNS). */
const maxServers = 3;

/**
 * The gateway first, which knows the containers; then those that know the world, so that names still resolve while the
 * engine is down. Servers on the host's loopback are left out: the gateway asks them in the container's place.
 */
export function resolvConf(request: ResolvConfRequest): string {
  const given =
    request.dns.length > 0 ? request.dns : request.host.nameservers.filter((server) => !isLoopback(server));
  const all = request.server === "" ? given : [request.server, ...(request.internal ? [] : given)];
  const servers = [...new Set(all)].slice(0, maxServers);
  // Docker: a single dot means no search domains at all.
  const search = (request.search.length > 0 ? request.search : request.host.search).filter(
    (domain) => domain !== ".",
  );
  const options = request.options.length > 0 ? request.options : request.host.options;
  return [
    ...servers.map((server) => `nameserver ${server}\n`),
    search.length === 0 ? "" : `search ${search.join(" ")}\n`,
    options.length === 0 ? "" : `options ${options.join(" ")}\n`,
  ].join("");
}
