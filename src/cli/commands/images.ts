/** gantry images. */
import type { CommandSpec, Invocation } from "../command.ts";
import { filtersQuery } from "../connection/engine.ts";
import { formatListing } from "../format/listing.ts";
import { imageHeaders, imageRows, type ImageSummary } from "../format/rows-images.ts";
import { print } from "../output.ts";
import { listFormat } from "./list-flags.ts";

export const images: CommandSpec = {
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  summary: "List images",
  aliases: ["image ls", "image list", "images"],
  flags: [
    { name: "all", short: "a", kind: "bool", help: "Show all images (without: no intermediate ones)" },
    { name: "digests", kind: "bool", help: "Show digests" },
    {
      name: "filter",
      short: "f",
      kind: "filter",
      help: "Show only what meets a condition (dangling=true, reference=busy* …)",
    },
    listFormat,
    { name: "no-trunc", kind: "bool", help: "Do not shorten" },
    { name: "quiet", short: "q", kind: "bool", help: "Print IDs only" },
  ],
  args: [0, 1],
  completes: "images",
  run: list,
};

async function list({ flags, args: [reference], engine }: Invocation): Promise<number> {
  const format = flags.text("format");
  const digests = flags.bool("digests");
  const filters = [...flags.list("filter"), ...(reference === undefined ? [] : [`reference=${reference}`])];
  const found = await engine.json<readonly ImageSummary[]>("GET", "/images/json", {
    query: { all: flags.bool("all"), filters: filtersQuery(filters) },
  });
  const options = {
    truncate: !flags.bool("no-trunc"),
    digests: digests || /\.Digest\b/.test(format),
    nowMs: Date.now(),
  };
  const table = `{{.Repository}}\t{{.Tag}}\t${digests ? "{{.Digest}}\t" : ""}{{.ID}}\t{{.CreatedSince}}\t{{.Size}}`;
  await print(
    formatListing({
      format,
      quiet: flags.bool("quiet"),
      table,
      quietField: "ID",
      headers: imageHeaders,
      rows: found.flatMap((image) => imageRows(image, options)),
    }),
  );
  return 0;
}
