/** gantry ps. */
import type { CommandSpec, Invocation } from "../command.ts";
import { filtersQuery } from "../connection/engine.ts";
import { formatListing } from "../format/listing.ts";
import {
  containerHeaders,
  containerRow,
  type ContainerSummary,
  containerTable,
} from "../format/rows-containers.ts";
import { print } from "../output.ts";
import { listFormat } from "./list-flags.ts";

export const ps: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List containers",
  aliases: ["container ls", "container list", "container ps", "ps"],
  examples: [
    ["gantry ps -a", "all containers, ended ones too"],
    [
      "gantry ps --filter status=exited --format '{{.Names}}: {{.Status}}'",
      "some of them, in your own format",
    ],
  ],
  flags: [
    { name: "all", short: "a", kind: "bool", help: "Show all containers (without: running ones)" },
    {
      name: "filter",
      short: "f",
      kind: "filter",
      help: "Show only what meets a condition (status=exited, name=web …)",
    },
    listFormat,
    {
      name: "last",
      short: "n",
      kind: "int",
      preset: "-1",
      help: "Show the n containers created last, in any state",
    },
    { name: "latest", short: "l", kind: "bool", help: "Show the container created last, in any state" },
    { name: "no-trunc", kind: "bool", help: "Do not shorten" },
    { name: "quiet", short: "q", kind: "bool", help: "Print IDs only" },
    { name: "size", short: "s", kind: "bool", help: "Print sizes" },
  ],
  args: [0, 0],
  run: list,
};

async function list({ flags, engine }: Invocation): Promise<number> {
  const format = flags.text("format");
  const last = flags.bool("latest") ? 1 : flags.number("last", -1);
  const sizeWanted = flags.bool("size") || /\.Size\b/.test(format);
  const containers = await engine.json<readonly ContainerSummary[]>("GET", "/containers/json", {
    query: {
      all: flags.bool("all"),
      limit: last > 0 ? last : undefined,
      size: sizeWanted,
      filters: filtersQuery(flags.list("filter")),
    },
  });
  const now = Date.now();
  await print(
    formatListing({
      format,
      quiet: flags.bool("quiet"),
      table: flags.bool("size") ? `${containerTable}\t{{.Size}}` : containerTable,
      quietField: "ID",
      headers: containerHeaders,
      rows: containers.map((container) => containerRow(container, !flags.bool("no-trunc"), now)),
    }),
  );
  return 0;
}
