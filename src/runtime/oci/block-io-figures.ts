/** The block I/O part of a stats event: one table a kind of figure, one row a device and operation. Pure. */
import { figure, nonZero, pressure, type ReadFigure } from "./cgroup-figures.ts";
import type { Json } from "./json-text.ts";

type Table = readonly Json[];
type Tables = { readonly [name: string]: Json | undefined };

/** File (after `blkio.`, before `_recursive`) and what runc calls its table, for schedulers with statistics of their own. */
const schedulerTables = [
  ["sectors", "sectorsRecursive"],
  ["io_service_time", "ioServiceTimeRecursive"],
  ["io_wait_time", "ioWaitTimeRecursive"],
  ["io_merged", "ioMergedRecursive"],
  ["io_queued", "ioQueueRecursive"],
  ["time", "ioTimeRecursive"],
  ["io_serviced", "ioServicedRecursive"],
  ["io_service_bytes", "ioServiceBytesRecursive"],
] as const;
const basicTables = schedulerTables.slice(6);

/** Of several sources the first that counts anything is taken: the scheduler's own figures, else those of the throttler. */
export function blkioV1(read: ReadFigure): Tables {
  const sources = [
    { tables: schedulerTables, file: (name: string) => `blkio.bfq.${name}_recursive` },
    { tables: basicTables, file: (name: string) => `blkio.bfq.${name}_recursive` },
    { tables: schedulerTables, file: (name: string) => `blkio.${name}_recursive` },
    { tables: basicTables, file: (name: string) => `blkio.throttle.${name}_recursive` },
    { tables: basicTables, file: (name: string) => `blkio.throttle.${name}` },
  ];
  for (const { tables, file } of sources) {
    const found = tables.map(([name, table]) => [table, tableV1(read("blkio", file(name)))] as const);
    if ((found[0]?.[1].length ?? 0) === 0) continue;
    const filled = new Map<string, Table>(found.filter(([, rows]) => rows.length > 0));
    return Object.fromEntries(tableOrder.map((name) => [name, filled.get(name)]));
  }
  return {};
}

/** In which runc writes them. */
const tableOrder = [
  "ioServiceBytesRecursive",
  "ioServicedRecursive",
  "ioQueueRecursive",
  "ioServiceTimeRecursive",
  "ioWaitTimeRecursive",
  "ioMergedRecursive",
  "ioTimeRecursive",
  "sectorsRecursive",
];

/** `8:0 Read 4096` or `8:0 4096`; a last line `Total 4096` is no device. */
function tableV1(text: string | undefined): Table {
  const rows: Json[] = [];
  for (const line of (text ?? "").split("\n")) {
    const [, major, minor, op, value] = /^([0-9]+):([0-9]+) (?:(\w+) )?([0-9]+)$/.exec(line.trim()) ?? [];
    if (major !== undefined) rows.push(row(major, minor, op, value));
  }
  return rows;
}

// oxlint-disable-next-line max-params -- the four columns of one row
function row(
  major: string | undefined,
  minor: string | undefined,
  op: string | undefined,
  value: string | undefined,
): Json {
  return {
    major: nonZero(figure(major)),
    minor: nonZero(figure(minor)),
    op,
    value: nonZero(figure(value)),
  };
}

const keysV2: Readonly<Record<string, readonly [table: "bytes" | "count", op: string]>> = {
  rbytes: ["bytes", "Read"],
  wbytes: ["bytes", "Write"],
  rios: ["count", "Read"],
  wios: ["count", "Write"],
};

/** `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …` */
export function ioV2(read: ReadFigure): Tables {
  const tables = { bytes: [] as Json[], count: [] as Json[] };
  for (const line of (read("io", "io.stat") ?? "").split("\n")) {
    const [device = "", ...pairs] = line.trim().split(" ");
    const [, major, minor] = /^([0-9]+):([0-9]+)$/.exec(device) ?? [];
    if (major === undefined) continue;
    for (const pair of pairs) {
      const [key = "", value] = pair.split("=");
      const known = keysV2[key];
      if (known !== undefined) tables[known[0]].push(row(major, minor, known[1], value));
    }
  }
  return {
    ioServiceBytesRecursive: tables.bytes.length === 0 ? undefined : tables.bytes,
    ioServicedRecursive: tables.count.length === 0 ? undefined : tables.count,
    psi: pressure(read("io", "io.pressure")),
  };
}
