/** `HostConfig` as GET /containers/{id}/json shows it. Pure. */
import type { ContainerRecord } from "../container.ts";

/** Empty lists and maps look as dockerd shows them. */
export function wireHostConfig(record: ContainerRecord): unknown {
  const { host } = record;
  return {
    ...host,
    NetworkMode: host.NetworkMode === "default" ? "bridge" : host.NetworkMode,
    Binds: host.Binds.length === 0 ? null : host.Binds,
    Mounts: host.Mounts.length === 0 ? undefined : host.Mounts,
    Tmpfs: Object.keys(host.Tmpfs).length === 0 ? undefined : host.Tmpfs,
    CapAdd: host.CapAdd.length === 0 ? null : host.CapAdd,
    CapDrop: host.CapDrop.length === 0 ? null : host.CapDrop,
    SecurityOpt: host.SecurityOpt.length === 0 ? null : host.SecurityOpt,
    Sysctls: Object.keys(host.Sysctls).length === 0 ? undefined : host.Sysctls,
    PidsLimit: host.PidsLimit === 0 ? null : host.PidsLimit,
    CgroupnsMode: "private",
    Runtime: host.Runtime || "gantry",
    MaskedPaths: host.Privileged ? null : undefined,
  };
}
