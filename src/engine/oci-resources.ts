/** Limits and devices as OCI resources. Pure. */
import type { CgroupLayout } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import {
  type DeviceRule,
  defaultDeviceRules,
  type OciCpu,
  type OciMemory,
  type OciResources,
} from "../runtime/index.ts";
import type { HostConfig } from "./container.ts";
import { cpuLimits } from "./cpu-limits.ts";
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
  | "CpusetCpus"
  | "CpusetMems"
  | "PidsLimit"
>;

/** @param swapAccounting false: the kernel cannot limit swap, memory is limited alone */
export function ociResources(
  host: Limits & Pick<HostConfig, "Privileged">,
  devices: readonly HostDevice[],
  swapAccounting: boolean,
): OciResources {
  return { ...limitResources(host, swapAccounting), devices: deviceRules(host.Privileged, devices) };
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

function memoryLimits({ Memory, MemorySwap, MemoryReservation }: Limits, swapAccounting: boolean): OciMemory {
  // Docker: without a word on swap, as much swap as memory.
  const swap = MemorySwap !== 0 ? MemorySwap : Memory * 2;
  return {
    ...(Memory > 0 ? { limit: Memory } : {}),
    ...(Memory > 0 && swapAccounting ? { swap } : {}),
    ...(MemoryReservation > 0 ? { reservation: MemoryReservation } : {}),
  };
}

function cpuResources(host: Limits): OciCpu {
  const { quotaUs, periodUs } = cpuLimits(host);
  return {
    ...(host.CpuShares > 0 ? { shares: host.CpuShares } : {}),
    ...(quotaUs === undefined ? {} : { quota: quotaUs }),
    ...(periodUs === undefined ? {} : { period: periodUs }),
    ...(host.CpusetCpus === "" ? {} : { cpus: host.CpusetCpus }),
    ...(host.CpusetMems === "" ? {} : { mems: host.CpusetMems }),
  };
}

function deviceRules(privileged: boolean, devices: readonly HostDevice[]): readonly DeviceRule[] {
  if (privileged) return [{ allow: true, access: "rwm" }];
  const allowed = devices.map(({ type, major = 0, minor = 0, access }): DeviceRule => ({
    allow: true,
    type: type === "b" ? "b" : "c",
    major,
    minor,
    access,
  }));
  return [...defaultDeviceRules, ...allowed];
}

/** @throws {GantryError} "unsupported" when a limit is asked for whose cgroup controller this machine does not offer */
export function checkControllers(host: Limits, cgroups: CgroupLayout): void {
  const wanted: readonly (readonly [flag: string, set: boolean, controller: string])[] = [
    ["--memory", host.Memory > 0 || host.MemoryReservation > 0, "memory"],
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
