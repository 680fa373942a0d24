/** Limits and the restart policy, as create and update requests carry them. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { HostConfig, RestartPolicyName, Ulimit } from "../container.ts";
import { defaultHostConfig } from "../create-defaults.ts";
import type { Fields } from "./json-fields.ts";

type ResourceFields =
  | "Memory"
  | "MemorySwap"
  | "MemoryReservation"
  | "MemorySwappiness"
  | "KernelMemoryTCP"
  | "OomKillDisable"
  | "NanoCpus"
  | "CpuShares"
  | "CpuPeriod"
  | "CpuQuota"
  | "CpuRealtimePeriod"
  | "CpuRealtimeRuntime"
  | "CpusetCpus"
  | "CpusetMems"
  | "PidsLimit"
  | "OomScoreAdj"
  | "Ulimits"
  | "ShmSize";

/** @throws {GantryError} "invalid", worded as dockerd does */
export function parseResources(fields: Fields): Pick<HostConfig, ResourceFields> {
  const shmSize = fields.integer("ShmSize");
  if (shmSize < 0) throw new GantryError("invalid", "SHM size can not be less than 0");
  const score = fields.integer("OomScoreAdj");
  if (score < -1000 || score > 1000)
    throw new GantryError("invalid", `Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  refuseOtherSystems(fields);
  return {
    ...parseMemory(fields),
    ...parseCpu(fields),
    PidsLimit: Math.max(0, fields.integer("PidsLimit")),
    OomScoreAdj: score,
    Ulimits: fields.list("Ulimits").map(parseUlimit),
    ShmSize: shmSize || defaultHostConfig.ShmSize,
  };
}

/** Settings of Windows. */
function refuseOtherSystems(fields: Fields): void {
  const refuse = (what: string): GantryError =>
    new GantryError("invalid", `invalid option: QoS maximum ${what} configuration is not supported on linux`);
  if (fields.integer("IOMaximumBandwidth") !== 0) throw refuse("bandwidth");
  if (fields.integer("IOMaximumIOps") !== 0) throw refuse("IOPs");
  // Without any meaning here, as with dockerd.
  fields.integer("CpuCount");
  fields.integer("CpuPercent");
}

type MemoryFields =
  "Memory" | "MemorySwap" | "MemoryReservation" | "MemorySwappiness" | "KernelMemoryTCP" | "OomKillDisable";

function parseMemory(fields: Fields): Pick<HostConfig, MemoryFields> {
  const invalid = (message: string): GantryError => new GantryError("invalid", message);
  const swappiness = fields.has("MemorySwappiness") ? fields.integer("MemorySwappiness") : -1;
  const limits = {
    Memory: checkMemory(fields.integer("Memory")),
    MemorySwap: fields.integer("MemorySwap"),
    MemoryReservation: checkReservation(fields.integer("MemoryReservation")),
    MemorySwappiness: swappiness === -1 ? null : swappiness,
    KernelMemoryTCP: Math.max(0, fields.integer("KernelMemoryTCP")),
    OomKillDisable: fields.boolean("OomKillDisable"),
  };
  if (limits.MemorySwap > 0 && limits.Memory > 0 && limits.MemorySwap < limits.Memory)
    throw invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
  if (limits.MemorySwap > 0 && limits.Memory === 0)
    throw invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100))
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  if (limits.Memory > 0 && limits.MemoryReservation > limits.Memory)
    throw invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
  return limits;
}

/** @returns `bytes` @throws {GantryError} "invalid" below 6 MiB; 0 is none */
export function checkReservation(bytes: number): number {
  if (bytes > 0 && bytes < leastMemory)
    throw new GantryError("invalid", "Minimum memory reservation allowed is 6MB");
  return bytes;
}

type CpuFields =
  | "NanoCpus"
  | "CpuShares"
  | "CpuPeriod"
  | "CpuQuota"
  | "CpuRealtimePeriod"
  | "CpuRealtimeRuntime"
  | "CpusetCpus"
  | "CpusetMems";

/** Of create and update. @throws {GantryError} "invalid", worded as dockerd does */
export function parseCpu(fields: Fields): Pick<HostConfig, CpuFields> {
  const cpu = {
    NanoCpus: fields.integer("NanoCpus"),
    CpuShares: fields.integer("CpuShares"),
    CpuPeriod: fields.integer("CpuPeriod"),
    CpuQuota: fields.integer("CpuQuota"),
    CpuRealtimePeriod: fields.integer("CpuRealtimePeriod"),
    CpuRealtimeRuntime: fields.integer("CpuRealtimeRuntime"),
    CpusetCpus: checkCpuset(fields.string("CpusetCpus"), "cpus"),
    CpusetMems: checkCpuset(fields.string("CpusetMems"), "mems"),
  };
  for (const wrong of wrongCpu(cpu)) throw new GantryError("invalid", wrong);
  return cpu;
}

function* wrongCpu(cpu: Pick<HostConfig, CpuFields>): Generator<string> {
  const processors = navigator.hardwareConcurrency;
  if (cpu.CpuRealtimePeriod !== 0 && cpu.CpuRealtimeRuntime > cpu.CpuRealtimePeriod)
    yield "cpu real-time runtime cannot be higher than cpu real-time period";
  if (cpu.CpuShares < 0) yield `invalid CPU shares (${cpu.CpuShares}): value must be a positive integer`;
  if (cpu.NanoCpus > 0 && cpu.CpuPeriod > 0)
    yield "Conflicting options: Nano CPUs and CPU Period cannot both be set";
  if (cpu.NanoCpus > 0 && cpu.CpuQuota > 0)
    yield "Conflicting options: Nano CPUs and CPU Quota cannot both be set";
  if (cpu.NanoCpus < 0 || cpu.NanoCpus > processors * 1e9)
    yield `range of CPUs is from 0.01 to ${processors}.00, as there are only ${processors} CPUs available`;
  if (cpu.CpuPeriod !== 0 && (cpu.CpuPeriod < 1000 || cpu.CpuPeriod > 1_000_000))
    yield "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)";
  if (cpu.CpuQuota > 0 && cpu.CpuQuota < 1000) yield "CPU cfs quota can not be less than 1ms (i.e. 1000)";
}

/** Numbers and ranges, `0-3,7`; the kernel judges whether there are such. */
function checkCpuset(text: string, what: "cpus" | "mems"): string {
  if (text !== "" && !/^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*$/.test(text))
    throw new GantryError("invalid", `Invalid value ${text} for cpuset ${what}: invalid format`);
  return text;
}

const leastMemory = 6 * 1024 * 1024;

/** @returns `bytes` @throws {GantryError} "invalid" below 6 MiB; 0 is no limit */
export function checkMemory(bytes: number): number {
  if (bytes !== 0 && bytes < leastMemory)
    throw new GantryError("invalid", "Minimum memory limit allowed is 6MB");
  return bytes;
}

function parseUlimit(fields: Fields): Ulimit {
  const ulimit = { Name: fields.string("Name"), Soft: fields.integer("Soft"), Hard: fields.integer("Hard") };
  if (ulimit.Hard >= 0 && ulimit.Soft > ulimit.Hard) {
    throw new GantryError(
      "invalid",
      `ulimit soft limit must be less than or equal to hard limit: ${ulimit.Soft} > ${ulimit.Hard}`,
    );
  }
  return ulimit;
}

/** @throws {GantryError} "invalid", worded as dockerd does */
export function parseRestartPolicy(fields: Fields): HostConfig["RestartPolicy"] {
  const name = fields.string("Name") || "no";
  const retries = fields.integer("MaximumRetryCount");
  if (!isRestartPolicyName(name)) {
    throw new GantryError(
      "invalid",
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  if (retries > 0 && name !== "on-failure") {
    throw new GantryError(
      "invalid",
      "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    );
  }
  if (retries < 0)
    throw new GantryError("invalid", "invalid restart policy: maximum retry count cannot be negative");
  return { Name: name, MaximumRetryCount: retries };
}

function isRestartPolicyName(name: string): name is RestartPolicyName {
  return ["no", "always", "unless-stopped", "on-failure"].includes(name);
}
