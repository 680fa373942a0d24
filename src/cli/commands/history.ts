/** gantry history. */
import type { CommandSpec, Invocation } from "../command.ts";
import { imagePath } from "../connection/engine.ts";
import { formatListing } from "../format/listing.ts";
import { ellipsis, humanDuration, humanSize, shortId } from "../format/human.ts";
import { print } from "../output.ts";
import { Row } from "../template/value.ts";
import { listFormat } from "./list-flags.ts";

interface HistoryEntry {
  readonly Id: string;
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Size: number;
  readonly Comment: string;
}

export const history: CommandSpec = {
  usage: "[OPTIONS] IMAGE",
  summary: "Show the history of an image",
  aliases: ["image history", "history"],
  flags: [
    listFormat,
    { name: "human", short: "H", kind: "bool", preset: "true", help: "Print sizes and dates for people" },
    { name: "no-trunc", kind: "bool", help: "Do not shorten" },
    { name: "quiet", short: "q", kind: "bool", help: "Print IDs only" },
  ],
  args: [1, 1],
  completes: "images",
  run: show,
};

async function show({ flags, args: [name = ""], engine }: Invocation): Promise<number> {
  const entries = await engine.json<readonly HistoryEntry[]>("GET", `/images/${imagePath(name)}/history`);
  const human = flags.bool("human", true);
  const truncate = !flags.bool("no-trunc");
  const now = Date.now();
  await print(
    formatListing({
      format: flags.text("format"),
      quiet: flags.bool("quiet"),
      table: `{{.ID}}\t{{.${human ? "CreatedSince" : "CreatedAt"}}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}`,
      quietField: "ID",
      headers: {
        ID: "IMAGE",
        CreatedSince: "CREATED",
        CreatedAt: "CREATED AT",
        CreatedBy: "CREATED BY",
        Size: "SIZE",
        Comment: "COMMENT",
      },
      rows: entries.map((entry) => rowOf(entry, { human, truncate, now })),
    }),
  );
  return 0;
}

interface Style {
  readonly human: boolean;
  readonly truncate: boolean;
  readonly now: number;
}

/** Whoever made the image wrote it: it must not write to the terminal. */
// eslint-disable-next-line no-control-regex
const visible = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");

function rowOf(entry: HistoryEntry, { human, truncate, now }: Style): Row {
  const createdBy = visible(entry.CreatedBy);
  return new Row("*formatter.historyContext", {
    ID: truncate && entry.Id !== "<missing>" ? shortId(entry.Id) : entry.Id,
    CreatedAt: new Date(entry.Created * 1000).toISOString().replace(".000Z", "Z"),
    CreatedSince: `${humanDuration(now - entry.Created * 1000)} ago`,
    CreatedBy: truncate ? ellipsis(createdBy, 45) : createdBy,
    Size: human ? humanSize(entry.Size, 3) : String(entry.Size),
    Comment: visible(entry.Comment),
  });
}
