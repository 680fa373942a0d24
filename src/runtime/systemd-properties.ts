/** OCI resources as properties of a systemd unit (systemd.resource-control(5)), in the units of its D-Bus API. Pure. */
import type { DeviceRule } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import { weightOfShares } from "./cgroup-limits-cpu.ts";
import type { DbusVariant } from "./dbus-wire.ts";
import { deviceRules } from "./device-rules.ts";
import type { OciCpu, OciMemory, OciResources } from "./oci-types.ts";

export type UnitProperty = readonly [name: string, value: DbusVariant];

export interface PropertiesInput {
  readonly resources: OciResources;
  readonly v2: boolean;
  /** systemd's own: what is newer than it is left to the cgroup files. */
  readonly version: number;
  /** /proc/devices, for the names of device majors. */
  readonly procDevices: string;
}

const unlimited = 2n ** 64n - 1n;
const defaultPeriodUs = 100_000;
const since = { quotaPeriod: 242, allowedCpus: 244, idle: 252 } as const;

const text = (name: string, value: string): UnitProperty => [name, { signature: "s", value }];
const flag = (name: string, value: boolean): UnitProperty => [name, { signature: "b", value }];
const count = (name: string, value: number | bigint): UnitProperty => [
  name,
  { signature: "t", value: BigInt(value) < 0n ? unlimited : BigInt(value) },
];

/** What a new unit gets besides its limits. */
export function unitProperties(input: {
  readonly unit: string;
  readonly slice: string;
  readonly id: string;
  readonly pid: number;
  readonly v2: boolean;
}): readonly UnitProperty[] {
  const { unit, slice, id, pid, v2 } = input;
  const place: readonly UnitProperty[] = unit.endsWith(".slice")
    ? [["Wants", { signature: "as", value: [slice] }]]
    : [text("Slice", slice), flag("Delegate", true)];
  return [
    text("Description", `gantry-oci container ${id}`),
    ...place,
    ["PIDs", { signature: "au", value: [pid] }],
    // The kernel has trouble with processes that join a controller later.
    ...[
      "MemoryAccounting",
      "CPUAccounting",
      v2 ? "IOAccounting" : "BlockIOAccounting",
      "TasksAccounting",
    ].map((name) => flag(name, true)),
    flag("DefaultDependencies", false),
  ];
}

/** What can be changed while the unit runs. */
export function resourceProperties(input: PropertiesInput): readonly UnitProperty[] {
  const { resources, v2, version } = input;
  const { memory, cpu, pids, blockIO } = resources;
  return [
    ...(resources.devices === undefined ? [] : deviceProperties(deviceRules(resources), input.procDevices)),
    ...(memory === undefined ? [] : memoryProperties(memory, v2)),
    ...(cpu === undefined ? [] : cpuProperties(cpu, v2, version)),
    ...(pids === undefined ? [] : [count("TasksMax", pids.limit === 0 ? 1 : pids.limit)]),
    ...(v2 || (blockIO?.weight ?? 0) === 0 ? [] : [count("BlockIOWeight", blockIO?.weight ?? 0)]),
    ...unifiedProperties(resources.unified ?? {}),
  ];
}

function memoryProperties(
  { limit = 0, reservation = 0, swap = 0 }: OciMemory,
  v2: boolean,
): readonly UnitProperty[] {
  if (!v2) return limit === 0 ? [] : [count("MemoryLimit", limit)];
  const alone = swap > 0 && limit > 0 ? swap - limit : swap === 0 && limit < 0 ? -1 : swap;
  return [
    ...(limit === 0 ? [] : [count("MemoryMax", limit)]),
    ...(reservation === 0 ? [] : [count("MemoryLow", reservation)]),
    ...(swap === 0 && limit >= 0 ? [] : [count("MemorySwapMax", alone)]),
  ];
}

function cpuProperties(cpu: OciCpu, v2: boolean, version: number): readonly UnitProperty[] {
  const { shares = 0, quota = 0, period = 0, cpus = "", mems = "" } = cpu;
  const sets = version >= since.allowedCpus;
  return [
    ...(v2 ? weightProperties(cpu, version) : shares === 0 ? [] : [count("CPUShares", shares)]),
    ...(period > 0 && version >= since.quotaPeriod ? [count("CPUQuotaPeriodUSec", period)] : []),
    ...(quota !== 0 || period !== 0 ? [count("CPUQuotaPerSecUSec", quotaPerSecond(quota, period))] : []),
    ...(cpus !== "" && sets ? [mask("AllowedCPUs", cpus)] : []),
    ...(mems !== "" && sets ? [mask("AllowedMemoryNodes", mems)] : []),
  ];
}

/** A weight of 0 is systemd's word for idle. */
function weightProperties({ shares = 0, idle }: OciCpu, version: number): readonly UnitProperty[] {
  if (idle === 1 && version >= since.idle) return [count("CPUWeight", 0)];
  return shares === 0 ? [] : [count("CPUWeight", weightOfShares(shares))];
}

/** systemd keeps whole percents: rounded up, so that it never takes more than was asked for. */
export function quotaPerSecond(quota: number, period: number): number {
  if (quota <= 0) return -1;
  const exact = Math.floor((quota * 1_000_000) / (period > 0 ? period : defaultPeriodUs));
  return Math.ceil(exact / 10_000) * 10_000;
}

function mask(name: string, list: string): UnitProperty {
  return [name, { signature: "ay", value: bitsOf(list) }];
}

/** "0-2,8" as bytes, the lowest cpu in the lowest bit of the first. */
export function bitsOf(list: string): readonly number[] {
  const bytes: number[] = [];
  for (const range of list.split(",").filter((part) => part.trim() !== "")) {
    const [first = "", last = first] = range.trim().split("-");
    if (!/^\d{1,5}$/.test(first) || !/^\d{1,5}$/.test(last) || Number(last) < Number(first))
      throw new GantryError(
        "invalid",
        `linux.resources.cpu: ${JSON.stringify(list)} is not a list of numbers and ranges`,
      );
    for (let bit = Number(first); bit <= Number(last); bit++) {
      while (bytes.length <= bit >> 3) bytes.push(0);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  return bytes;
}

/** All rights for all devices, or a list: what is more is left to the rules in the cgroup itself. */
function deviceProperties(rules: readonly DeviceRule[], procDevices: string): readonly UnitProperty[] {
  let open = false;
  let allowed: (readonly [string, string])[] = [];
  for (const rule of rules) {
    const isAll = (rule.type ?? "a") === "a" && (rule.major ?? -1) < 0 && (rule.minor ?? -1) < 0;
    if (isAll) {
      open = rule.allow;
      allowed = [];
      continue;
    }
    const name = deviceName(rule, procDevices);
    if (name === undefined) continue;
    allowed = allowed.filter(
      ([other, access]) => rule.allow || other !== name || access !== (rule.access ?? "rwm"),
    );
    if (rule.allow) allowed.push([name, rule.access ?? "rwm"]);
  }
  return [
    text("DevicePolicy", open ? "auto" : "strict"),
    // An empty list first: what was allowed before is not.
    ["DeviceAllow", { signature: "a(ss)", value: [] }],
    ...(open || allowed.length === 0
      ? []
      : [["DeviceAllow", { signature: "a(ss)", value: allowed }] as const]),
  ];
}

function deviceName({ type, major = -1, minor = -1 }: DeviceRule, procDevices: string): string | undefined {
  const kind = type === "b" ? "block" : "char";
  if (major < 0) return `${kind}-*`;
  if (minor >= 0) return `/dev/${kind}/${major}:${minor}`;
  const section = procDevices.split("Block devices:")[kind === "block" ? 1 : 0] ?? "";
  const group = new RegExp(`^\\s*${major} (\\S+)$`, "m").exec(section)?.[1];
  return group === undefined ? undefined : `${kind}-${group}`;
}

const unifiedNames: Readonly<Record<string, string>> = {
  "memory.high": "MemoryHigh",
  "memory.low": "MemoryLow",
  "memory.min": "MemoryMin",
  "memory.max": "MemoryMax",
  "memory.swap.max": "MemorySwapMax",
  "pids.max": "TasksMax",
  "cpu.weight": "CPUWeight",
};

/** What systemd has a property for, so that it does not put its own value over ours later. */
function unifiedProperties(files: Readonly<Record<string, string>>): readonly UnitProperty[] {
  return Object.entries(files).flatMap(([file, value]): readonly UnitProperty[] => {
    const word = value.trim();
    const name = unifiedNames[file];
    if (name !== undefined && (word === "max" || /^\d{1,19}$/.test(word)))
      return [count(name, word === "max" ? -1 : BigInt(word))];
    if (file === "cpuset.cpus") return [mask("AllowedCPUs", word)];
    if (file === "cpuset.mems") return [mask("AllowedMemoryNodes", word)];
    if (file !== "cpu.max") return [];
    const [quota = "max", period = String(defaultPeriodUs)] = word.split(/\s+/);
    return [
      count("CPUQuotaPeriodUSec", Number(period)),
      count("CPUQuotaPerSecUSec", quotaPerSecond(quota === "max" ? -1 : Number(quota), Number(period))),
    ];
  });
}
