/** What this machine's kernel offers, looked up once. */
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import type { CgroupLayout } from "../kernel/index.ts";

export interface HostFacts {
  readonly hostname: string;
  /** Whether memory and swap together can be limited. */
  readonly swapAccounting: boolean;
  /** Docker's: any user of a container may bind low ports and ping. */
  readonly defaultSysctls: Readonly<Record<string, string>>;
}

const sysctls = { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" };

export function hostFacts(cgroups: CgroupLayout): HostFacts {
  const memory = cgroups.controllers["memory"];
  const isV1 = memory !== undefined && memory !== cgroups.unified;
  return {
    hostname: hostname(),
    // On cgroup v2 swap is counted wherever the kernel has swap at all.
    swapAccounting: isV1 ? existsSync(`${memory}/memory.memsw.limit_in_bytes`) : existsSync("/proc/swaps"),
    defaultSysctls: Object.fromEntries(
      Object.entries(sysctls).filter(([key]) => existsSync(`/proc/sys/${key.replaceAll(".", "/")}`)),
    ),
  };
}
