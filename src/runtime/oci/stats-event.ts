/** What `events` prints of a container's use, in the form of runc's types/events.go. Pure. */
import { blkioV1, ioV2 } from "./block-io-figures.ts";
import {
  expandList,
  figure,
  figures,
  nonZero,
  pressure,
  type ReadFigure,
  unlimited,
} from "./cgroup-figures.ts";
import type { Json } from "./json-text.ts";

type Fields = { readonly [key: string]: Json | undefined };

export interface StatsSource {
  readonly read: ReadFigure;
  /** Which files a controller has here. */
  readonly interfaceOf: (controller: string) => "v1" | "v2";
  /** "2MB", "1GB" …: the sizes of huge pages of this machine. */
  readonly hugePages: readonly string[];
  readonly intelRdt?: Fields;
  /** The text of /proc/PID/net/dev; undefined when the container has the host's network. */
  readonly netDev?: string;
}

/** The `data` of a stats event. */
export function statsData(source: StatsSource): Fields {
  const { read, interfaceOf } = source;
  return {
    cpu: interfaceOf("cpu") === "v2" ? cpuV2(read) : cpuV1(read),
    cpuset: cpuset(read),
    memory: interfaceOf("memory") === "v2" ? memoryV2(read) : memoryV1(read),
    pids: pids(read),
    blkio: interfaceOf("io") === "v2" ? ioV2(read) : blkioV1(read),
    hugetlb: hugetlb(source),
    intel_rdt: source.intelRdt ?? {},
    network_interfaces: networkInterfaces(source.netDev),
  };
}

const tickNs = 10_000_000n;

function cpuV1(read: ReadFigure): Fields {
  const ticks = figures(read("cpuacct", "cpuacct.stat"));
  const throttling = figures(read("cpu", "cpu.stat"));
  const rows = (read("cpuacct", "cpuacct.usage_all") ?? "").trim().split("\n").slice(1);
  const perCpu = (column: number): readonly bigint[] | undefined =>
    rows.length === 0 ? undefined : rows.map((row) => figure(row.split(" ")[column]));
  const usage = read("cpuacct", "cpuacct.usage_percpu")?.trim();
  return {
    usage: {
      total: nonZero(figure(read("cpuacct", "cpuacct.usage"))),
      percpu: usage === undefined || usage === "" ? undefined : usage.split(" ").map(figure),
      percpu_kernel: perCpu(2),
      percpu_user: perCpu(1),
      kernel: (ticks["system"] ?? 0n) * tickNs,
      user: (ticks["user"] ?? 0n) * tickNs,
    },
    throttling: throttlingOf(throttling, throttling["throttled_time"] ?? 0n),
  };
}

function cpuV2(read: ReadFigure): Fields {
  const stat = figures(read("cpu", "cpu.stat"));
  const ns = (key: string): bigint => (stat[key] ?? 0n) * 1000n;
  return {
    usage: { total: nonZero(ns("usage_usec")), kernel: ns("system_usec"), user: ns("user_usec") },
    throttling: throttlingOf(stat, ns("throttled_usec")),
    psi: pressure(read("cpu", "cpu.pressure")),
  };
}

function throttlingOf(stat: { readonly [key: string]: bigint }, throttledNs: bigint): Fields {
  return {
    periods: nonZero(stat["nr_periods"] ?? 0n),
    throttledPeriods: nonZero(stat["nr_throttled"] ?? 0n),
    throttledTime: nonZero(throttledNs),
  };
}

function cpuset(read: ReadFigure): Fields {
  const list = (file: string): Json | undefined => {
    const values = expandList(read("cpuset", file));
    return values.length === 0 ? undefined : values;
  };
  const value = (file: string): bigint => figure(read("cpuset", `cpuset.${file}`));
  return {
    cpus: list("cpuset.cpus"),
    cpu_exclusive: value("cpu_exclusive"),
    mems: list("cpuset.mems"),
    mem_hardwall: value("mem_hardwall"),
    mem_exclusive: value("mem_exclusive"),
    memory_migrate: value("memory_migrate"),
    memory_spread_page: value("memory_spread_page"),
    memory_spread_slab: value("memory_spread_slab"),
    memory_pressure: value("memory_pressure"),
    sched_load_balance: value("sched_load_balance"),
    sched_relax_domain_level: Number(read("cpuset", "cpuset.sched_relax_domain_level")?.trim() ?? 0),
  };
}

function memoryV1(read: ReadFigure): Fields {
  const raw = figures(read("memory", "memory.stat"));
  const part = (prefix: string): Fields =>
    memoryEntry(
      figure(read("memory", `${prefix}.limit_in_bytes`)),
      figure(read("memory", `${prefix}.usage_in_bytes`)),
      figure(read("memory", `${prefix}.max_usage_in_bytes`)),
      figure(read("memory", `${prefix}.failcnt`)),
    );
  return {
    cache: nonZero(raw["cache"] ?? 0n),
    usage: part("memory"),
    swap: part("memory.memsw"),
    kernel: part("memory.kmem"),
    kernelTCP: part("memory.kmem.tcp"),
    raw: rawOf(raw),
  };
}

function memoryV2(read: ReadFigure): Fields {
  const raw = figures(read("memory", "memory.stat"));
  const file = (name: string): bigint => figure(read("memory", name));
  const usage = file("memory.current");
  const limit = file("memory.max");
  const swapLimit = file("memory.swap.max");
  const none = memoryEntry(0n, 0n, 0n, 0n);
  const hasSwap = read("memory", "memory.swap.current") !== undefined;
  return {
    cache: nonZero(raw["file"] ?? 0n),
    usage: memoryEntry(limit, usage, file("memory.peak"), 0n),
    // As on v1: memory plus swap. Its peak cannot be told.
    swap: memoryEntry(
      swapLimit === unlimited || !hasSwap ? swapLimit : BigInt.asUintN(64, swapLimit + limit),
      file("memory.swap.current") + usage,
      0n,
      0n,
    ),
    kernel: none,
    kernelTCP: none,
    raw: rawOf(raw),
    psi: pressure(read("memory", "memory.pressure")),
  };
}

// oxlint-disable-next-line max-params -- the four figures of one entry
function memoryEntry(limit: bigint, usage: bigint, max: bigint, failcnt: bigint): Fields {
  return { limit, usage: nonZero(usage), max: nonZero(max), failcnt };
}

function rawOf(raw: { readonly [key: string]: bigint }): Fields | undefined {
  return Object.keys(raw).length === 0 ? undefined : raw;
}

function pids(read: ReadFigure): Fields {
  const limit = figure(read("pids", "pids.max"));
  return {
    current: nonZero(figure(read("pids", "pids.current"))),
    limit: limit === unlimited ? undefined : nonZero(limit),
  };
}

function hugetlb({ read, interfaceOf, hugePages }: StatsSource): Fields {
  const sizes: Record<string, Json> = {};
  for (const size of hugePages) {
    const v2 = interfaceOf("hugetlb") === "v2";
    const used = v2 ? "current" : "usage_in_bytes";
    const rsvd = read("hugetlb", `hugetlb.${size}.rsvd.${used}`);
    const usage = rsvd ?? read("hugetlb", `hugetlb.${size}.${used}`);
    if (usage === undefined) continue;
    const prefix = `hugetlb.${size}${rsvd === undefined ? "" : ".rsvd"}`;
    sizes[size] = {
      usage: nonZero(figure(usage)),
      max: v2 ? undefined : nonZero(figure(read("hugetlb", `${prefix}.max_usage_in_bytes`))),
      failcnt: v2
        ? (figures(read("hugetlb", `hugetlb.${size}.events`))["max"] ?? 0n)
        : figure(read("hugetlb", `${prefix}.failcnt`)),
    };
  }
  return sizes;
}

/** The container's own interfaces, without lo; null when there are none. */
export function networkInterfaces(netDev: string | undefined): Json {
  const rows: Json[] = [];
  for (const line of (netDev ?? "").split("\n").slice(2)) {
    const at = line.indexOf(":");
    const name = line.slice(0, at).trim();
    if (at < 0 || name === "" || name === "lo") continue;
    const values = line
      .slice(at + 1)
      .trim()
      .split(/\s+/)
      .map(figure);
    const value = (index: number): bigint => values[index] ?? 0n;
    rows.push({
      Name: name,
      RxBytes: value(0),
      RxPackets: value(1),
      RxErrors: value(2),
      RxDropped: value(3),
      TxBytes: value(8),
      TxPackets: value(9),
      TxErrors: value(10),
      TxDropped: value(11),
    });
  }
  return rows.length === 0 ? null : rows;
}
