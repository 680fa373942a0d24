/** `--network` and the flags that belong to it, to NetworkMode and EndpointsConfig. Pure. */
import { CliError, FlagError } from "../errors.ts";
import { parseCsv } from "../flags/csv.ts";
import type { FlagValues } from "../flags/parse-flags.ts";

interface Wanted {
  readonly target: string;
  readonly aliases: string[];
  readonly links: string[];
  readonly linkLocal: string[];
  readonly options: Record<string, string>;
  ipv4: string;
  ipv6: string;
  mac: string;
  priority: number;
}

export interface Networking {
  readonly mode: string;
  readonly endpoints: Readonly<Record<string, object>>;
}

/** @throws {CliError} with docker's words */
export function parseNetworks(flags: FlagValues): Networking {
  const texts = flags.list("network");
  const wanted = texts.length === 0 ? [empty("default")] : texts.map(parseNetwork);
  const first = wanted[0] ?? empty("default");
  addContainerFlags(first, flags);
  const userDefined = wanted.filter((network) => isUserDefined(network.target));
  if (wanted.length > 1 && userDefined.length < wanted.length) {
    throw new CliError(
      "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
    );
  }
  const endpoints: Record<string, object> = {};
  for (const network of wanted) {
    if (Object.hasOwn(endpoints, network.target)) {
      throw new CliError(`network ${JSON.stringify(network.target)} is specified multiple times`);
    }
    if (network.aliases.length > 0 && !isUserDefined(network.target)) {
      throw new CliError("network-scoped aliases are only supported for user-defined networks");
    }
    // As docker has it: a single network without any option needs no entry.
    if (texts.length === 1 && isPlain(network)) continue;
    endpoints[network.target] = endpointOf(network);
  }
  return { mode: first.target, endpoints };
}

function empty(target: string): Wanted {
  return {
    target,
    aliases: [],
    links: [],
    linkLocal: [],
    options: {},
    ipv4: "",
    ipv6: "",
    mac: "",
    priority: 0,
  };
}

function isUserDefined(name: string): boolean {
  return !["default", "bridge", "host", "none"].includes(name) && !name.startsWith("container:");
}

const isPlain = (n: Wanted): boolean => JSON.stringify(n) === JSON.stringify(empty(n.target));

function addContainerFlags(network: Wanted, flags: FlagValues): void {
  const both = (given: boolean, flag: string, field: string): void => {
    if (given && flags.has(flag))
      throw new CliError(`conflicting options: cannot specify both --${flag} and per-network ${field}`);
  };
  both(network.aliases.length > 0, "network-alias", "alias");
  both(network.links.length > 0, "link", "links");
  both(network.ipv4 !== "", "ip", "IPv4 address");
  both(network.ipv6 !== "", "ip6", "IPv6 address");
  both(network.mac !== "", "mac-address", "MAC address");
  both(network.linkLocal.length > 0, "link-local-ip", "link-local IP addresses");
  network.aliases.push(...flags.list("network-alias"));
  if (isUserDefined(network.target)) network.links.push(...flags.list("link"));
  network.linkLocal.push(...flags.list("link-local-ip"));
  network.ipv4 = flags.text("ip", network.ipv4);
  network.ipv6 = flags.text("ip6", network.ipv6);
  network.mac = flags.text("mac-address", network.mac);
}

const setters: Readonly<Record<string, (network: Wanted, value: string) => void>> = {
  name: () => undefined,
  alias: (n, v) => void n.aliases.push(v),
  ip: (n, v) => void (n.ipv4 = v),
  ip6: (n, v) => void (n.ipv6 = v),
  "mac-address": (n, v) => void (n.mac = v),
  "link-local-ip": (n, v) => void n.linkLocal.push(v),
  "driver-opt": (n, v) => void (n.options[v.split("=")[0] ?? ""] = v.slice(v.indexOf("=") + 1)),
  "gw-priority": (n, v) => void (n.priority = Number(v)),
};

/** A plain name, or `name=…,alias=…,ip=…`. */
function parseNetwork(text: string): Wanted {
  if (!text.includes("=")) return empty(text);
  const pairs = parseCsv(text).map((field): readonly [string, string] => {
    const at = field.indexOf("=");
    if (at < 0) throw new FlagError(`invalid field ${field}`);
    return [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1).trim()];
  });
  const target = pairs.findLast(([key]) => key === "name")?.[1] ?? "";
  if (target === "") throw new FlagError("network name/id is not specified");
  const network = empty(target);
  for (const [key, value] of pairs) {
    const set = Object.hasOwn(setters, key) ? setters[key] : undefined;
    if (set === undefined) throw new FlagError(`invalid field key ${key}`);
    set(network, value);
  }
  return network;
}

function endpointOf(network: Wanted): object {
  const ipam = {
    ...(network.ipv4 === "" ? {} : { IPv4Address: network.ipv4 }),
    ...(network.ipv6 === "" ? {} : { IPv6Address: network.ipv6 }),
    ...(network.linkLocal.length === 0 ? {} : { LinkLocalIPs: network.linkLocal }),
  };
  return {
    IPAMConfig: Object.keys(ipam).length === 0 ? null : ipam,
    Links: network.links.length === 0 ? null : network.links,
    Aliases: network.aliases.length === 0 ? null : network.aliases,
    MacAddress: network.mac,
    DriverOpts: Object.keys(network.options).length === 0 ? null : network.options,
    GwPriority: network.priority,
  };
}

/** Checks the text of the flag and keeps it. */
export function readNetwork(text: string): string {
  parseNetwork(text);
  return text;
}
