/** What a RUN would be as a container's record: from it the same code makes its OCI config. Pure. */
import type { BuildLimits, BuildRun } from "../build/index.ts";
import { shortId } from "../lib/index.ts";
import type { ContainerRecord, HostConfig } from "./container.ts";
import { defaultConfig, defaultHostConfig } from "./create-defaults.ts";

export function buildRecord(request: BuildRun, hostname: string): ContainerRecord {
  const network = request.network === "" ? "default" : request.network;
  return {
    id: request.id,
    name: `build-${shortId(request.id)}`,
    createdAtMs: 0,
    imageId: "",
    config: {
      ...defaultConfig,
      Hostname: network === "host" ? hostname : shortId(request.id),
      User: request.user,
      Env: request.env,
      Cmd: request.args,
      WorkingDir: request.workingDir,
    },
    host: {
      ...defaultHostConfig,
      ...buildLimits(request.limits),
      NetworkMode: network,
      ExtraHosts: request.extraHosts,
    },
    network: { aliases: [], ip: "", mac: "" },
    volumes: [],
  };
}

function buildLimits(limits: BuildLimits): Partial<HostConfig> {
  return {
    Memory: limits.memoryBytes ?? 0,
    MemorySwap: limits.memorySwapBytes ?? 0,
    CpuPeriod: limits.cpuPeriodUs ?? 0,
    CpuQuota: limits.cpuQuotaUs ?? 0,
    CpuShares: limits.cpuShares ?? 0,
    CpusetCpus: limits.cpusetCpus ?? "",
    CpusetMems: limits.cpusetMems ?? "",
    ShmSize: limits.shmSizeBytes ?? defaultHostConfig.ShmSize,
    Ulimits: (limits.ulimits ?? []).map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
  };
}
