/** What this machine's kernel offers, looked up once. */
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { CgroupLayout } from "../kernel/index.ts";
import { type LimitAbilities, limitAbilities } from "./limit-abilities.ts";

export interface HostFacts {
  readonly hostname: string;
  /** Whether memory and swap together can be limited. */
  readonly swapAccounting: boolean;
  readonly abilities: LimitAbilities;
  /** Whether AppArmor is on: else its profiles say nothing here. */
  readonly appArmor: boolean;
  /** Of the engine's own process. */
  readonly oomScoreAdj: number;
  /** Docker's: any user of a container may bind low ports and ping. */
  readonly defaultSysctls: Readonly<Record<string, string>>;
}

const sysctls = { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" };

export function hostFacts(cgroups: CgroupLayout): HostFacts {
  const abilities = limitAbilities(cgroups);
  return {
    hostname: hostname(),
    abilities,
    swapAccounting: abilities.swap,
    oomScoreAdj: Number(readFileSync("/proc/self/oom_score_adj", "utf8")),
    appArmor: existsSync("/sys/kernel/security/apparmor"),
    defaultSysctls: Object.fromEntries(
      Object.entries(sysctls).filter(([key]) => existsSync(`/proc/sys/${key.replaceAll(".", "/")}`)),
    ),
  };
}
