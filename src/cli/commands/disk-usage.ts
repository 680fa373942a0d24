/** gantry system df. */
import type { CommandSpec, Invocation } from "../command.ts";
import { formatListing } from "../format/listing.ts";
import { humanSize } from "../format/human.ts";
import { containerHeaders, containerRow, type ContainerSummary } from "../format/rows-containers.ts";
import { imageHeaders, imageRows, type ImageSummary } from "../format/rows-images.ts";
import { print } from "../output.ts";
import { Row } from "../template/value.ts";
import { listFormat } from "./list-flags.ts";
import { type Volume, volumeHeaders, volumeRow } from "./volumes.ts";

interface CacheEntry {
  readonly ID: string;
  readonly Type: string;
  readonly Size: number;
  readonly InUse: boolean;
  readonly Shared: boolean;
}

interface Usage {
  readonly LayersSize: number;
  readonly Images: readonly ImageSummary[] | null;
  readonly Containers: readonly ContainerSummary[] | null;
  readonly Volumes: readonly Volume[] | null;
  readonly BuildCache: readonly CacheEntry[] | null;
}

export const diskUsage: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Show disk usage",
  flags: [
    listFormat,
    { name: "verbose", short: "v", kind: "bool", help: "Show each image, container and volume" },
  ],
  args: [0, 0],
  async run({ flags, engine }: Invocation) {
    const usage = await engine.json<Usage>("GET", "/system/df");
    if (flags.bool("verbose")) await print(verboseText(usage, Date.now()));
    else {
      await print(
        formatListing({
          format: flags.text("format"),
          quiet: false,
          table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
          quietField: "Type",
          headers: {
            Type: "TYPE",
            TotalCount: "TOTAL",
            Active: "ACTIVE",
            Size: "SIZE",
            Reclaimable: "RECLAIMABLE",
          },
          rows: summaryRows(usage),
        }),
      );
    }
    return 0;
  },
};

interface Sum {
  readonly type: string;
  readonly total: number;
  readonly active: number;
  readonly bytes: number;
  readonly reclaimable: number;
  /** The share stands behind the amount. */
  readonly share: boolean;
}

/** One row a kind of thing. Pure. */
export function summaryRows(usage: Usage): Row[] {
  const sums = [
    imageSum(usage),
    containerSum(usage.Containers ?? []),
    volumeSum(usage.Volumes ?? []),
    cacheSum(usage.BuildCache ?? []),
  ];
  return sums.map((sum) => {
    const percent = sum.bytes > 0 ? Math.trunc((sum.reclaimable * 100) / sum.bytes) : 0;
    return new Row("*formatter.diskUsageContext", {
      Type: sum.type,
      TotalCount: String(sum.total),
      Active: String(sum.active),
      Size: humanSize(sum.bytes),
      Reclaimable: humanSize(sum.reclaimable) + (sum.share && sum.bytes > 0 ? ` (${percent}%)` : ""),
    });
  });
}

function imageSum(usage: Usage): Sum {
  const images = usage.Images ?? [];
  const used = images.filter((image) => (image.Containers ?? 0) > 0);
  const bytes = used.reduce((sum, image) => sum + image.Size - (image.SharedSize ?? 0), 0);
  return {
    type: "Images",
    total: images.length,
    active: used.length,
    bytes: usage.LayersSize,
    reclaimable: Math.max(0, usage.LayersSize - bytes),
    share: true,
  };
}

const containerBytes = (list: readonly ContainerSummary[]): number =>
  list.reduce((sum, container) => sum + (container.SizeRw ?? 0), 0);
const volumeBytes = (list: readonly Volume[]): number =>
  list.reduce((sum, volume) => sum + (volume.UsageData?.Size ?? 0), 0);
const cacheBytes = (list: readonly CacheEntry[]): number => list.reduce((sum, entry) => sum + entry.Size, 0);

function containerSum(containers: readonly ContainerSummary[]): Sum {
  const active = containers.filter((container) =>
    ["running", "paused", "restarting"].includes(container.State),
  );
  const bytes = containerBytes(containers);
  return {
    type: "Containers",
    total: containers.length,
    active: active.length,
    bytes,
    reclaimable: bytes - containerBytes(active),
    share: true,
  };
}

function volumeSum(volumes: readonly Volume[]): Sum {
  const known = volumes.filter((volume) => (volume.UsageData?.Size ?? -1) >= 0);
  const used = known.filter((volume) => (volume.UsageData?.RefCount ?? 0) > 0);
  const bytes = volumeBytes(known);
  return {
    type: "Local Volumes",
    total: volumes.length,
    active: used.length,
    bytes,
    reclaimable: bytes - volumeBytes(used),
    share: true,
  };
}

function cacheSum(entries: readonly CacheEntry[]): Sum {
  const own = entries.filter((entry) => !entry.Shared);
  return {
    type: "Build Cache",
    total: entries.length,
    active: entries.filter((entry) => entry.InUse).length,
    bytes: cacheBytes(own),
    reclaimable: cacheBytes(own.filter((entry) => !entry.InUse)),
    share: false,
  };
}

function table(template: string, headers: Readonly<Record<string, unknown>>, rows: readonly Row[]): string {
  return formatListing({ format: "", quiet: false, table: template, quietField: "ID", headers, rows });
}

function verboseText(usage: Usage, now: number): string {
  const images = (usage.Images ?? []).flatMap((image) =>
    imageRows(image, { truncate: true, digests: false, nowMs: now }).slice(0, 1),
  );
  const containers = (usage.Containers ?? []).map((container) => {
    const row = containerRow(container, true, now);
    return new Row(row.typeName, { ...row.fields, Size: humanSize(container.SizeRw ?? 0, 3) });
  });
  return [
    "Images space usage:\n",
    table(
      "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
      imageHeaders,
      images,
    ),
    "Containers space usage:\n",
    table(
      "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
      containerHeaders,
      containers,
    ),
    "Local Volumes space usage:\n",
    table("{{.Name}}\t{{.Links}}\t{{.Size}}", volumeHeaders, (usage.Volumes ?? []).map(volumeRow)),
    `Build cache usage: ${humanSize(cacheSum(usage.BuildCache ?? []).bytes)}\n`,
  ].join("\n");
}
