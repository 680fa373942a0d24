/** gantry search. */
import type { CommandSpec, Invocation } from "../command.ts";
import { authHeader } from "../connection/credentials.ts";
import { filtersQuery } from "../connection/engine.ts";
import { formatListing } from "../format/listing.ts";
import { print } from "../output.ts";
import { Row } from "../template/value.ts";
import { listFormat } from "./list-flags.ts";

interface Found {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
}

const shortDescription = 45;

export const search: CommandSpec = {
  usage: "[OPTIONS] TERM",
  summary: "Search Docker Hub, or another registry that can, for images",
  examples: [["gantry search --filter is-official=true postgres", "official images only"]],
  flags: [
    {
      name: "filter",
      short: "f",
      kind: "filter",
      help: "Show only what meets a condition (stars=3, is-official=true)",
    },
    listFormat,
    { name: "limit", kind: "int", preset: "25", help: "Most results" },
    { name: "no-trunc", kind: "bool", help: "Do not shorten" },
  ],
  args: [1, 1],
  completes: "none",
  run: searchImages,
};

async function searchImages({ flags, args: [term = ""], engine }: Invocation): Promise<number> {
  const found = await engine.json<readonly Found[]>("GET", "/images/search", {
    query: { term, limit: flags.text("limit", "25"), filters: filtersQuery(flags.list("filter")) },
    headers: await authHeader(term.includes("/") ? term.toLowerCase() : "docker.io/library/search"),
  });
  const whole = flags.bool("no-trunc");
  const rows = found.map(({ name, description, star_count, is_official }) => {
    const text = description.replace(/[\r\n]+/g, " ");
    const short = whole || text.length <= shortDescription ? text : `${text.slice(0, shortDescription - 1)}…`;
    return new Row("*search.searchContext", {
      Name: name,
      Description: short,
      StarCount: String(star_count),
      IsOfficial: is_official ? "[OK]" : "",
    });
  });
  await print(
    formatListing({
      format: flags.text("format"),
      quiet: false,
      table: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
      quietField: "Name",
      headers: { Name: "NAME", Description: "DESCRIPTION", StarCount: "STARS", IsOfficial: "OFFICIAL" },
      rows,
    }),
  );
  return 0;
}
