/** What a container uses, read from its cgroups. */
import type { CgroupLayout } from "../kernel/index.ts";
import { controllerDir } from "./cgroup-dirs.ts";
import { interfaceOf } from "./cgroup-limits.ts";
import type { CgroupIo } from "./cgroup-io.ts";

export interface CgroupStats {
  /** Bytes. Undefined: no memory controller, or the container is not running. */
  readonly memory?: {
    readonly usage: number;
    readonly maxUsage: number;
    /** Undefined: unlimited. */
    readonly limit?: number;
    /** Page cache that can be given back (inactive file pages): docker's `stats` subtracts it from usage. */
    readonly inactiveFile: number;
    readonly cache: number;
    readonly failures: number;
    readonly oomKills: number;
    /** memory.stat as it is. */
    readonly stat: Readonly<Record<string, number>>;
  };
  /** Nanoseconds since the container's start. */
  readonly cpu?: {
    readonly totalNs: number;
    readonly userNs: number;
    readonly systemNs: number;
    readonly perCpuNs?: readonly number[];
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledNs: number;
  };
  readonly pids?: { readonly current: number; readonly limit?: number };
  readonly blockIo?: readonly BlockIoStats[];
}

export interface BlockIoStats {
  readonly major: number;
  readonly minor: number;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly reads: number;
  readonly writes: number;
}

/** Reads only what exists: a part that this machine does not count is missing, a stopped container has none. */
export function readCgroupStats(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string): CgroupStats {
  const v2 = (controller: string): boolean => interfaceOf(cgroups, controller) === "v2";
  const read = (controller: string) => {
    const dir = controllerDir(cgroups, controller, cgroupsPath);
    return (file: string): string | undefined => (dir === undefined ? undefined : io.read(`${dir}/${file}`));
  };
  const memory = v2("memory") ? memoryV2(read("memory")) : memoryV1(read("memory"));
  const cpu = v2("cpu") ? cpuV2(read("cpu")) : cpuV1(read("cpuacct"), read("cpu"));
  const pids = pidsOf(read("pids"));
  const blockIo = v2("io") ? ioV2(read("io")) : ioV1(read("blkio"));
  return {
    ...(memory === undefined ? {} : { memory }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(pids === undefined ? {} : { pids }),
    ...(blockIo === undefined ? {} : { blockIo }),
  };
}

type Read = (file: string) => string | undefined;

/** v1 says "unlimited" with the largest multiple of the page size. */
const v1Unlimited = 2 ** 62;

function memoryV1(read: Read): CgroupStats["memory"] {
  const usage = read("memory.usage_in_bytes");
  if (usage === undefined) return undefined;
  const stat = flatKeys(read("memory.stat"));
  const limit = Number(read("memory.limit_in_bytes") ?? v1Unlimited);
  return {
    usage: Number(usage),
    maxUsage: Number(read("memory.max_usage_in_bytes") ?? usage),
    ...(limit >= v1Unlimited ? {} : { limit }),
    inactiveFile: stat["total_inactive_file"] ?? stat["inactive_file"] ?? 0,
    cache: stat["total_cache"] ?? stat["cache"] ?? 0,
    failures: Number(read("memory.failcnt") ?? 0),
    oomKills: flatKeys(read("memory.oom_control"))["oom_kill"] ?? 0,
    stat,
  };
}

function memoryV2(read: Read): CgroupStats["memory"] {
  const usage = read("memory.current");
  if (usage === undefined) return undefined;
  const stat = flatKeys(read("memory.stat"));
  const events = flatKeys(read("memory.events"));
  return {
    usage: Number(usage),
    maxUsage: Number(read("memory.peak") ?? usage),
    ...limitOf(read("memory.max")),
    inactiveFile: stat["inactive_file"] ?? 0,
    cache: stat["file"] ?? 0,
    failures: events["max"] ?? 0,
    oomKills: events["oom_kill"] ?? 0,
    stat,
  };
}

/** cpuacct.stat counts in USER_HZ, which is 100 for user space on every architecture. */
const tickNs = 10_000_000;

function cpuV1(account: Read, cpu: Read): CgroupStats["cpu"] {
  const total = account("cpuacct.usage");
  if (total === undefined) return undefined;
  const ticks = flatKeys(account("cpuacct.stat"));
  const throttling = flatKeys(cpu("cpu.stat"));
  const perCpu = account("cpuacct.usage_percpu")?.trim().split(" ").map(Number);
  return {
    totalNs: Number(total),
    userNs: (ticks["user"] ?? 0) * tickNs,
    systemNs: (ticks["system"] ?? 0) * tickNs,
    ...(perCpu === undefined ? {} : { perCpuNs: perCpu }),
    periods: throttling["nr_periods"] ?? 0,
    throttledPeriods: throttling["nr_throttled"] ?? 0,
    throttledNs: throttling["throttled_time"] ?? 0,
  };
}

function cpuV2(read: Read): CgroupStats["cpu"] {
  const text = read("cpu.stat");
  if (text === undefined) return undefined;
  const stat = flatKeys(text);
  const ns = (key: string): number => (stat[key] ?? 0) * 1000;
  return {
    totalNs: ns("usage_usec"),
    userNs: ns("user_usec"),
    systemNs: ns("system_usec"),
    periods: stat["nr_periods"] ?? 0,
    throttledPeriods: stat["nr_throttled"] ?? 0,
    throttledNs: ns("throttled_usec"),
  };
}

function pidsOf(read: Read): CgroupStats["pids"] {
  const current = read("pids.current");
  return current === undefined ? undefined : { current: Number(current), ...limitOf(read("pids.max")) };
}

function limitOf(text: string | undefined): { readonly limit?: number } {
  const word = text?.trim() ?? "max";
  return word === "max" ? {} : { limit: Number(word) };
}

type Counters = { readBytes: number; writeBytes: number; reads: number; writes: number };

function ioV1(read: Read): readonly BlockIoStats[] | undefined {
  const bytes = read("blkio.throttle.io_service_bytes_recursive") ?? read("blkio.throttle.io_service_bytes");
  if (bytes === undefined) return undefined;
  const devices = new Map<string, Counters>();
  const counts = read("blkio.throttle.io_serviced_recursive") ?? read("blkio.throttle.io_serviced") ?? "";
  for (const [text, readKey, writeKey] of [
    [bytes, "readBytes", "writeBytes"],
    [counts, "reads", "writes"],
  ] as const)
    for (const line of text.split("\n")) {
      const [device = "", kind = "", value = ""] = line.split(" ");
      const counters = device.includes(":") ? countersOf(devices, device) : undefined;
      if (counters === undefined) continue;
      if (kind === "Read") counters[readKey] = Number(value);
      if (kind === "Write") counters[writeKey] = Number(value);
    }
  return rows(devices);
}

function ioV2(read: Read): readonly BlockIoStats[] | undefined {
  const text = read("io.stat");
  if (text === undefined) return undefined;
  const devices = new Map<string, Counters>();
  for (const line of text.split("\n")) {
    const [device = "", ...pairs] = line.split(" ");
    if (!device.includes(":")) continue;
    const values = new Map(
      pairs.map((pair) => pair.split("=")).map(([key = "", value = "0"]) => [key, Number(value)]),
    );
    const counters = countersOf(devices, device);
    counters.readBytes = values.get("rbytes") ?? 0;
    counters.writeBytes = values.get("wbytes") ?? 0;
    counters.reads = values.get("rios") ?? 0;
    counters.writes = values.get("wios") ?? 0;
  }
  return rows(devices);
}

function countersOf(devices: Map<string, Counters>, device: string): Counters {
  const counters = devices.get(device) ?? { readBytes: 0, writeBytes: 0, reads: 0, writes: 0 };
  devices.set(device, counters);
  return counters;
}

function rows(devices: ReadonlyMap<string, Counters>): readonly BlockIoStats[] {
  return [...devices].map(([device, counters]) => {
    const [major = 0, minor = 0] = device.split(":").map(Number);
    return { major, minor, ...counters };
  });
}

/** `key value` lines; pure. */
export function flatKeys(text: string | undefined): Readonly<Record<string, number>> {
  const keys: Record<string, number> = {};
  for (const line of (text ?? "").split("\n")) {
    const [key = "", value = ""] = line.split(" ");
    if (key !== "" && value !== "") keys[key] = Number(value);
  }
  return keys;
}
