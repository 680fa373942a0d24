/** gantry volume create, ls, rm. */
import type { CommandSpec } from "../command.ts";
import { filtersQuery, segment } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { formatListing } from "../format/listing.ts";
import { humanSize } from "../format/human.ts";
import { print } from "../output.ts";
import { readLabel } from "../run/read-values.ts";
import { Row } from "../template/value.ts";
import { each } from "./each.ts";
import { listFormat } from "./list-flags.ts";
import { pairsToMap } from "../flags/pairs.ts";

export interface Volume {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly Scope: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly UsageData?: { readonly Size: number; readonly RefCount: number } | null;
}

export const createVolume: CommandSpec = {
  usage: "[OPTIONS] [VOLUME]",
  summary: "Create a volume",
  flags: [
    { name: "driver", short: "d", kind: "string", preset: "local", help: "Volume driver" },
    { name: "label", kind: "list", read: readLabel, help: "Set a label" },
    { name: "opt", short: "o", kind: "map", help: "Option of the driver (key=value)" },
  ],
  args: [0, 1],
  completes: "none",
  async run({ flags, args: [name = ""], engine }) {
    const volume = await engine.json<Volume>("POST", "/volumes/create", {
      json: {
        Name: name,
        Driver: flags.text("driver", "local"),
        DriverOpts: pairsToMap(flags.list("opt")),
        Labels: pairsToMap(flags.list("label")),
      },
    });
    await print(`${volume.Name}\n`);
    return 0;
  },
};

export const listVolumes: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List volumes",
  aliases: ["volume ls", "volume list"],
  flags: [
    {
      name: "filter",
      short: "f",
      kind: "filter",
      help: "Show only what meets a condition (dangling=true …)",
    },
    listFormat,
    { name: "quiet", short: "q", kind: "bool", help: "Print names only" },
  ],
  args: [0, 0],
  async run({ flags, engine }) {
    const answer = await engine.json<{ readonly Volumes: readonly Volume[] | null }>("GET", "/volumes", {
      query: { filters: filtersQuery(flags.list("filter")) },
    });
    const volumes = (answer.Volumes ?? []).toSorted((a, b) => (a.Name < b.Name ? -1 : 1));
    await print(
      formatListing({
        format: flags.text("format"),
        quiet: flags.bool("quiet"),
        table: "{{.Driver}}\t{{.Name}}",
        quietField: "Name",
        headers: volumeHeaders,
        rows: volumes.map(volumeRow),
      }),
    );
    return 0;
  },
};

export const volumeHeaders: Readonly<Record<string, unknown>> = {
  Name: "VOLUME NAME",
  Driver: "DRIVER",
  Scope: "SCOPE",
  Mountpoint: "MOUNTPOINT",
  Labels: "LABELS",
  Links: "LINKS",
  Size: "SIZE",
  Availability: "AVAILABILITY",
  Group: "GROUP",
  Status: "STATUS",
};

/** One volume as a row of `volume ls` and `system df -v`. */
export function volumeRow(volume: Volume): Row {
  const labels = volume.Labels ?? {};
  const usage = volume.UsageData ?? undefined;
  return new Row("*formatter.volumeContext", {
    Name: volume.Name,
    Driver: volume.Driver,
    Scope: volume.Scope,
    Mountpoint: volume.Mountpoint,
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .toSorted()
      .join(","),
    Label: (name: unknown) => labels[String(name)] ?? "",
    Links: usage === undefined ? "N/A" : String(usage.RefCount),
    Size: usage === undefined ? "N/A" : humanSize(usage.Size),
    Availability: "N/A",
    Group: "N/A",
    Status: "N/A",
  });
}

export const removeVolumes: CommandSpec = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  summary: "Remove one or more volumes",
  about: "A volume that a container uses, even a stopped one, cannot be removed.",
  aliases: ["volume rm", "volume remove"],
  flags: [{ name: "force", short: "f", kind: "bool", help: "Do not complain about what does not exist" }],
  args: [1, Infinity],
  completes: "volumes",
  run: ({ args, flags, engine }) =>
    each(args, async (name) => {
      const force = flags.bool("force");
      try {
        await engine.send("DELETE", `/volumes/${segment(name)}`, { query: { force } });
      } catch (error) {
        if (!(force && error instanceof CliError && error.status === 404)) throw error;
      }
      return name;
    }),
};
