/** Limits and the restart policy, as create and update requests carry them. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { DeviceRequest, HostConfig, RestartPolicyName, Ulimit } from "../container.ts";
import { defaultHostConfig } from "../create-defaults.ts";
import type { Fields } from "./json-fields.ts";

/** @throws {GantryError} "invalid", worded as dockerd does */
export function parseResources(
  fields: Fields,
): Pick<
  HostConfig,
  | "Memory"
  | "MemorySwap"
  | "MemoryReservation"
  | "NanoCpus"
  | "CpuShares"
  | "CpuPeriod"
  | "CpuQuota"
  | "CpusetCpus"
  | "CpusetMems"
  | "PidsLimit"
  | "OomScoreAdj"
  | "Ulimits"
  | "ShmSize"
  | "Devices"
> {
  const memory = checkMemory(fields.integer("Memory"));
  const memorySwap = fields.integer("MemorySwap");
  if (memorySwap > 0 && memorySwap < memory) {
    throw new GantryError(
      "invalid",
      "Minimum memoryswap limit should be larger than memory limit, see usage",
    );
  }
  if (memorySwap > 0 && memory === 0) {
    throw new GantryError(
      "invalid",
      "You should always set the Memory limit when using Memoryswap limit, see usage",
    );
  }
  const nanoCpus = fields.integer("NanoCpus");
  if (nanoCpus < 0 || nanoCpus > navigator.hardwareConcurrency * 1e9) {
    throw new GantryError(
      "invalid",
      `range of CPUs is from 0.01 to ${navigator.hardwareConcurrency}.00, as there are only ${navigator.hardwareConcurrency} CPUs available`,
    );
  }
  const quota = fields.integer("CpuQuota");
  if (nanoCpus > 0 && (quota > 0 || fields.integer("CpuPeriod") > 0)) {
    throw new GantryError(
      "invalid",
      "Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set.",
    );
  }
  return {
    Memory: memory,
    MemorySwap: memorySwap,
    MemoryReservation: fields.integer("MemoryReservation"),
    NanoCpus: nanoCpus,
    CpuShares: fields.integer("CpuShares"),
    CpuPeriod: fields.integer("CpuPeriod"),
    CpuQuota: quota,
    CpusetCpus: fields.string("CpusetCpus"),
    CpusetMems: fields.string("CpusetMems"),
    PidsLimit: Math.max(0, fields.integer("PidsLimit")),
    OomScoreAdj: checkRange(fields.integer("OomScoreAdj"), -1000, 1000, "OomScoreAdj"),
    Ulimits: fields.list("Ulimits").map(parseUlimit),
    ShmSize: fields.integer("ShmSize") || defaultHostConfig.ShmSize,
    Devices: fields.list("Devices").map(parseDevice),
  };
}

/** @returns `bytes` @throws {GantryError} "invalid" below 6 MiB; 0 is no limit */
export function checkMemory(bytes: number): number {
  if (bytes !== 0 && bytes < 6 * 1024 * 1024)
    throw new GantryError("invalid", "Minimum memory limit allowed is 6MB");
  return bytes;
}

function checkRange(value: number, low: number, high: number, name: string): number {
  if (value < low || value > high) {
    throw new GantryError("invalid", `Invalid value ${value}, range for ${name} is [${low}, ${high}]`);
  }
  return value;
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

function parseDevice(fields: Fields): DeviceRequest {
  const host = fields.string("PathOnHost");
  return {
    PathOnHost: host,
    PathInContainer: fields.string("PathInContainer") || host,
    CgroupPermissions: fields.string("CgroupPermissions") || "rwm",
  };
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
