/** `HostConfig` as GET /containers/{id}/json shows it. Pure. */
import type { ContainerRecord } from "../container.ts";
import { maskedPaths, readonlyPaths } from "../oci-config.ts";

/** Empty lists and maps look as dockerd shows them. */
export function wireHostConfig(record: ContainerRecord): unknown {
  const { host } = record;
  return {
    ...host,
    NetworkMode: host.NetworkMode === "default" ? "bridge" : host.NetworkMode,
    Binds: orNull(host.Binds),
    VolumesFrom: orNull(host.VolumesFrom),
    Mounts: host.Mounts.length === 0 ? undefined : host.Mounts,
    Tmpfs: orLeftOut(host.Tmpfs),
    CapAdd: orNull(host.CapAdd),
    CapDrop: orNull(host.CapDrop),
    SecurityOpt: orNull(host.SecurityOpt),
    DeviceCgroupRules: orNull(host.DeviceCgroupRules),
    DeviceRequests: orNull(host.DeviceRequests),
    Sysctls: orLeftOut(host.Sysctls),
    StorageOpt: orLeftOut(host.StorageOpt),
    Annotations: orLeftOut(host.Annotations),
    KernelMemoryTCP: host.KernelMemoryTCP === 0 ? undefined : host.KernelMemoryTCP,
    Init: host.Init ?? undefined,
    PidsLimit: host.PidsLimit === 0 ? null : host.PidsLimit,
    Runtime: host.Runtime || "gantry",
    Cgroup: "",
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    MaskedPaths: host.Privileged && host.MaskedPaths === null ? null : maskedPaths(host),
    ReadonlyPaths: host.Privileged && host.ReadonlyPaths === null ? null : readonlyPaths(host),
  };
}

function orNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

function orLeftOut(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> | undefined {
  return Object.keys(map).length === 0 ? undefined : map;
}
