/** Limits and devices as OCI resources. Pure. */
import type { CgroupLayout } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import {
  type DeviceRule,
  defaultDeviceRules,
  type OciBlockIo,
  type OciCpu,
  type OciMemory,
  type OciResources,
} from "../runtime/index.ts";
import type { HostConfig } from "./container.ts";
import { cpuLimits } from "./cpu-limits.ts";
import { parseDeviceRule } from "./device-cgroup-rules.ts";
import type { HostDevice } from "./host-devices.ts";

type Limits = Pick<
  HostConfig,
  | "Memory"
  | "MemorySwap"
  | "MemoryReservation"
  | "NanoCpus"
  | "CpuShares"
  | "CpuPeriod"
  | "CpuQuota"
  | "CpuRealtimePeriod"
  | "CpuRealtimeRuntime"
  | "CpusetCpus"
  | "CpusetMems"
  | "PidsLimit"
  | "MemorySwappiness"
  | "OomKillDisable"
  | "KernelMemoryTCP"
>;

/** What was looked up. */
export interface ResourceFacts {
  /** False: the kernel cannot limit swap, memory is limited alone. */
  readonly swapAccounting: boolean;
  readonly blockIo?: OciBlockIo | undefined;
}

export function ociResources(
  host: Limits & Pick<HostConfig, "Privileged" | "DeviceCgroupRules">,
  devices: readonly HostDevice[],
  { swapAccounting, blockIo }: ResourceFacts,
): OciResources {
  return {
    ...limitResources(host, swapAccounting),
    ...(blockIo === undefined ? {} : { blockIO: blockIo }),
    devices: deviceRules(host, devices),
  };
}

/** The part that can be changed while the container runs. */
export function limitResources(host: Limits, swapAccounting: boolean): OciResources {
  const memory = memoryLimits(host, swapAccounting);
  const cpu = cpuResources(host);
  return {
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(host.PidsLimit > 0 ? { pids: { limit: host.PidsLimit } } : {}),
  };
}

type Updated = Limits & Pick<HostConfig, "BlkioWeight">;

/** What the kernel is told of a running container whose limits become others: what stays is left alone. */
export function changedResources(from: Updated, to: Updated, swapAccounting: boolean): OciResources {
  const before = limitResources(from, swapAccounting);
  const after = limitResources(to, swapAccounting);
  const memory = changedMemory(before.memory ?? {}, after.memory ?? {});
  const cpu = changedCpu(before.cpu ?? {}, after.cpu ?? {});
  return {
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(before.pids?.limit === after.pids?.limit ? {} : { pids: { limit: after.pids?.limit ?? -1 } }),
    ...(from.BlkioWeight === to.BlkioWeight || to.BlkioWeight === 0
      ? {}
      : { blockIO: { weight: to.BlkioWeight } }),
  };
}

/** cgroup v2 limits swap alone: the two belong together. */
function changedMemory(before: OciMemory, after: OciMemory): OciMemory {
  const hasMoved = before.limit !== after.limit || before.swap !== after.swap;
  const hasSwap = before.swap !== undefined || after.swap !== undefined;
  return {
    ...(hasMoved ? { limit: after.limit ?? -1 } : {}),
    ...(hasMoved && hasSwap ? { swap: after.swap ?? -1 } : {}),
    ...(before.reservation === after.reservation ? {} : { reservation: after.reservation ?? -1 }),
  };
}

/** cgroup v2 writes quota and period together. Processors that are no more chosen stay: they are the parent's to give. */
function changedCpu(before: OciCpu, after: OciCpu): OciCpu {
  const hasMoved = before.quota !== after.quota || before.period !== after.period;
  const { realtimePeriod, realtimeRuntime, cpus, mems } = after;
  return {
    ...(before.shares === after.shares ? {} : { shares: after.shares ?? 1024 }),
    ...(hasMoved ? { quota: after.quota ?? -1, period: after.period ?? 100_000 } : {}),
    ...(realtimePeriod === undefined || realtimePeriod === before.realtimePeriod ? {} : { realtimePeriod }),
    ...(realtimeRuntime === undefined || realtimeRuntime === before.realtimeRuntime
      ? {}
      : { realtimeRuntime }),
    ...(cpus === undefined || cpus === before.cpus ? {} : { cpus }),
    ...(mems === undefined || mems === before.mems ? {} : { mems }),
  };
}

function memoryLimits(host: Limits, swapAccounting: boolean): OciMemory {
  const { Memory, MemorySwap, MemoryReservation, MemorySwappiness, KernelMemoryTCP } = host;
  // Docker: without a word on swap, as much swap as memory.
  const swap = MemorySwap !== 0 ? MemorySwap : Memory * 2;
  return {
    ...(Memory > 0 ? { limit: Memory } : {}),
    ...(Memory > 0 && swapAccounting ? { swap } : {}),
    ...(MemoryReservation > 0 ? { reservation: MemoryReservation } : {}),
    ...(KernelMemoryTCP > 0 ? { kernelTCP: KernelMemoryTCP } : {}),
    ...(MemorySwappiness === null ? {} : { swappiness: MemorySwappiness }),
    ...(host.OomKillDisable ? { disableOOMKiller: true } : {}),
  };
}

function cpuResources(host: Limits): OciCpu {
  const { quotaUs, periodUs } = cpuLimits(host);
  return {
    ...(host.CpuShares > 0 ? { shares: host.CpuShares } : {}),
    ...(quotaUs === undefined ? {} : { quota: quotaUs }),
    ...(periodUs === undefined ? {} : { period: periodUs }),
    ...(host.CpuRealtimePeriod > 0 ? { realtimePeriod: host.CpuRealtimePeriod } : {}),
    ...(host.CpuRealtimeRuntime > 0 ? { realtimeRuntime: host.CpuRealtimeRuntime } : {}),
    ...(host.CpusetCpus === "" ? {} : { cpus: host.CpusetCpus }),
    ...(host.CpusetMems === "" ? {} : { mems: host.CpusetMems }),
  };
}

function deviceRules(
  { Privileged, DeviceCgroupRules }: Pick<HostConfig, "Privileged" | "DeviceCgroupRules">,
  devices: readonly HostDevice[],
): readonly DeviceRule[] {
  if (Privileged) return [{ allow: true, access: "rwm" }];
  const allowed = devices.map(({ type, major = 0, minor = 0, access }): DeviceRule => ({
    allow: true,
    type: type === "b" ? "b" : "c",
    major,
    minor,
    access,
  }));
  return [...defaultDeviceRules, ...allowed, ...DeviceCgroupRules.flatMap(parseDeviceRule)];
}

/** @throws {GantryError} "unsupported" when a limit is asked for whose cgroup controller this machine does not offer */
export function checkControllers(host: Limits, cgroups: CgroupLayout): void {
  const wanted: readonly (readonly [flag: string, set: boolean, controller: string])[] = [
    ["--memory", host.Memory > 0 || host.MemoryReservation > 0, "memory"],
    ["--oom-kill-disable", host.OomKillDisable, "memory"],
    ["--cpus", host.NanoCpus > 0 || host.CpuQuota > 0 || host.CpuPeriod > 0 || host.CpuShares > 0, "cpu"],
    ["--cpuset-cpus", host.CpusetCpus !== "" || host.CpusetMems !== "", "cpuset"],
    ["--pids-limit", host.PidsLimit > 0, "pids"],
  ];
  for (const [flag, set, controller] of wanted) {
    if (!set || cgroups.controllers[controller] !== undefined) continue;
    throw new GantryError(
      "unsupported",
      `${flag} cannot be kept: this machine offers no cgroup controller "${controller}"`,
      {
        hint: `leave ${flag} away, or enable the controller (cgroup_enable=${controller} on the kernel's command line)`,
      },
    );
  }
}
