/** CPU limits as the kernel wants them. Pure. */
import type { HostConfig } from "./container.ts";

const periodUs = 100_000;

export interface CpuLimits {
  readonly quotaUs?: number;
  readonly periodUs?: number;
}

/** `--cpus 1.5` is 150 ms in each 100 ms. */
export function cpuLimits(host: Pick<HostConfig, "NanoCpus" | "CpuQuota" | "CpuPeriod">): CpuLimits {
  if (host.NanoCpus > 0) return { quotaUs: Math.round((host.NanoCpus * periodUs) / 1e9), periodUs };
  return {
    ...(host.CpuQuota !== 0 ? { quotaUs: host.CpuQuota } : {}),
    ...(host.CpuPeriod !== 0 ? { periodUs: host.CpuPeriod } : {}),
  };
}
