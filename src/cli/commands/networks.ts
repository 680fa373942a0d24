/** gantry network create, ls, rm. */
import type { CommandSpec, Invocation } from "../command.ts";
import { filtersQuery, segment } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { pairsToMap } from "../flags/pairs.ts";
import { formatListing } from "../format/listing.ts";
import { shortId } from "../format/human.ts";
import { print, printError } from "../output.ts";
import { readLabel } from "../run/read-values.ts";
import { Row } from "../template/value.ts";
import { each } from "./each.ts";
import { listFormat } from "./list-flags.ts";

interface Network {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly Created: string;
  readonly Internal: boolean;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6: boolean;
  readonly Labels: Readonly<Record<string, string>> | null;
}

export const createNetwork: CommandSpec = {
  usage: "[OPTIONS] NETWORK",
  summary: "Create a network",
  examples: [
    ["gantry network create --subnet 10.7.0.0/24 backend", "containers on it reach each other by name"],
  ],
  flags: [
    { name: "attachable", kind: "bool", help: "Containers may be attached by hand" },
    { name: "driver", short: "d", kind: "string", preset: "bridge", help: "Network driver" },
    { name: "gateway", kind: "strings", help: "Gateway of the subnet" },
    { name: "internal", kind: "bool", help: "No way out of the network" },
    { name: "ip-range", kind: "strings", help: "Give containers addresses of this part of the subnet" },
    { name: "ipam-driver", kind: "string", preset: "default", help: "IP address management driver" },
    { name: "ipv4", kind: "bool", preset: "true", help: "Assign IPv4 addresses" },
    { name: "ipv6", kind: "bool", help: "Assign IPv6 addresses" },
    { name: "label", kind: "list", read: readLabel, help: "Set a label" },
    { name: "opt", short: "o", kind: "map", help: "Option of the driver (key=value)" },
    { name: "scope", kind: "string", help: "Scope of the network" },
    { name: "subnet", kind: "strings", help: "Subnet (10.7.0.0/24)" },
  ],
  args: [1, 1],
  completes: "none",
  run: create,
};

async function create({ flags, args: [name = ""], engine }: Invocation): Promise<number> {
  const created = await engine.json<{ readonly Id: string; readonly Warning?: string }>(
    "POST",
    "/networks/create",
    {
      json: {
        Name: name,
        Driver: flags.text("driver", "bridge"),
        Scope: flags.text("scope"),
        EnableIPv4: flags.bool("ipv4", true),
        EnableIPv6: flags.bool("ipv6"),
        Internal: flags.bool("internal"),
        Attachable: flags.bool("attachable"),
        Ingress: false,
        ConfigOnly: false,
        IPAM: { Driver: flags.text("ipam-driver", "default"), Options: {}, Config: subnetsOf(flags) },
        Options: pairsToMap(flags.list("opt")),
        Labels: pairsToMap(flags.list("label")),
      },
    },
  );
  if (created.Warning) await printError(`WARNING: ${created.Warning}\n`);
  await print(`${created.Id}\n`);
  return 0;
}

/** Subnets with their ranges and gateways, which belong to them in the order given. */
function subnetsOf(flags: Invocation["flags"]): object[] {
  const subnets = flags.list("subnet");
  const ranges = flags.list("ip-range");
  const gateways = flags.list("gateway");
  for (const [flag, list] of [
    ["ip-range", ranges],
    ["gateway", gateways],
  ] as const) {
    if (list.length > subnets.length) {
      throw new CliError(
        subnets.length === 0
          ? `every ${flag} must have a corresponding subnet`
          : `more --${flag} than --subnet`,
      );
    }
  }
  return subnets.map((subnet, i) => ({
    Subnet: subnet,
    ...(ranges[i] === undefined ? {} : { IPRange: ranges[i] }),
    ...(gateways[i] === undefined ? {} : { Gateway: gateways[i] }),
  }));
}

export const listNetworks: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List networks",
  aliases: ["network ls", "network list"],
  flags: [
    {
      name: "filter",
      short: "f",
      kind: "filter",
      help: "Show only what meets a condition (driver=bridge …)",
    },
    listFormat,
    { name: "no-trunc", kind: "bool", help: "Do not shorten" },
    { name: "quiet", short: "q", kind: "bool", help: "Print IDs only" },
  ],
  args: [0, 0],
  async run({ flags, engine }) {
    const networks = await engine.json<readonly Network[]>("GET", "/networks", {
      query: { filters: filtersQuery(flags.list("filter")) },
    });
    await print(
      formatListing({
        format: flags.text("format"),
        quiet: flags.bool("quiet"),
        table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
        quietField: "ID",
        headers: networkHeaders,
        rows: networks
          .toSorted((a, b) => (a.Name < b.Name ? -1 : 1))
          .map((network) => rowOf(network, !flags.bool("no-trunc"))),
      }),
    );
    return 0;
  },
};

const networkHeaders: Readonly<Record<string, unknown>> = {
  ID: "NETWORK ID",
  Name: "NAME",
  Driver: "DRIVER",
  Scope: "SCOPE",
  IPv4: "IPV4",
  IPv6: "IPV6",
  Internal: "INTERNAL",
  Labels: "LABELS",
  CreatedAt: "CREATED AT",
};

function rowOf(network: Network, truncate: boolean): Row {
  const labels = network.Labels ?? {};
  return new Row("*formatter.networkContext", {
    ID: truncate ? shortId(network.Id) : network.Id,
    Name: network.Name,
    Driver: network.Driver,
    Scope: network.Scope,
    IPv4: String(network.EnableIPv4 ?? true),
    IPv6: String(network.EnableIPv6),
    Internal: String(network.Internal),
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .toSorted()
      .join(","),
    Label: (name: unknown) => labels[String(name)] ?? "",
    CreatedAt: network.Created.replace(/^(\S{10})T([\d:]{8})(\.\d+?)?0*Z$/, "$1 $2$3 +0000 UTC"),
  });
}

export const removeNetworks: CommandSpec = {
  usage: "NETWORK [NETWORK...]",
  summary: "Remove one or more networks",
  aliases: ["network rm", "network remove"],
  flags: [{ name: "force", short: "f", kind: "bool", help: "Do not complain about what does not exist" }],
  args: [1, Infinity],
  completes: "networks",
  run: ({ args, flags, engine }) =>
    each(args, async (name) => {
      try {
        await engine.send("DELETE", `/networks/${segment(name)}`);
      } catch (error) {
        if (!(flags.bool("force") && error instanceof CliError && error.status === 404)) throw error;
        return undefined;
      }
      return name;
    }),
};
