/** Which limits this machine's kernel can keep: what it cannot is discarded with dockerd's warning, or refused. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupLayout } from "../kernel/index.ts";
import { isErrno } from "../lib/index.ts";
import type { HostConfig } from "./container.ts";

export interface LimitAbilities {
  /** Memory and swap together. */
  readonly swap: boolean;
  readonly swappiness: boolean;
  readonly oomKillDisable: boolean;
  readonly tcpMemory: boolean;
  readonly realtime: boolean;
  readonly ioWeight: boolean;
  /** Processors and memory nodes that containers can have; empty: not known. */
  readonly cpus: string;
  readonly mems: string;
}

/** Looked up once, at the engine's start. */
export function limitAbilities(cgroups: CgroupLayout): LimitAbilities {
  const v1 = (controller: string): string | undefined => {
    const mount = cgroups.controllers[controller];
    return mount === undefined || mount === cgroups.unified ? undefined : mount;
  };
  const has = (controller: string, file: string): boolean => {
    const mount = v1(controller);
    return mount !== undefined && existsSync(join(mount, file));
  };
  return {
    // On cgroup v2 swap is counted wherever the kernel has swap at all.
    swap:
      v1("memory") === undefined ? existsSync("/proc/swaps") : has("memory", "memory.memsw.limit_in_bytes"),
    swappiness: has("memory", "memory.swappiness"),
    oomKillDisable: has("memory", "memory.oom_control"),
    tcpMemory: has("memory", "memory.kmem.tcp.limit_in_bytes"),
    realtime: has("cpu", "cpu.rt_runtime_us"),
    ioWeight: hasIoWeight(cgroups),
    cpus: cpusetFile(cgroups, "cpus"),
    mems: cpusetFile(cgroups, "mems"),
  };
}

function cpusetFile({ controllers }: CgroupLayout, what: "cpus" | "mems"): string {
  const mount = controllers["cpuset"];
  if (mount === undefined) return "";
  for (const file of [`cpuset.effective_${what}`, `cpuset.${what}.effective`, `cpuset.${what}`])
    try {
      return readFileSync(join(mount, file), "utf8").trim();
    } catch (error) {
      // The other version's name.
      if (!isErrno(error, "ENOENT")) throw error;
    }
  return "";
}

/** The root of a hierarchy has no weight: only those below it have the file. */
function hasIoWeight({ controllers }: CgroupLayout): boolean {
  const mount = controllers["blkio"] ?? controllers["io"];
  if (mount === undefined) return false;
  const files = ["blkio.weight", "blkio.bfq.weight", "io.weight", "io.bfq.weight"];
  const below = readdirSync(mount, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const dirs = [mount, ...below.map(({ name }) => join(mount, name))];
  if (dirs.some((dir) => files.some((file) => existsSync(join(dir, file))))) return true;
  // io.cost is the kernel's own weight, and its settings are at the root alone.
  return existsSync(join(mount, "io.cost.qos"));
}

/** What is looked at. */
export type FitLimits = Pick<
  HostConfig,
  | "Memory"
  | "MemorySwap"
  | "MemorySwappiness"
  | "OomKillDisable"
  | "KernelMemoryTCP"
  | "BlkioWeight"
  | "BlkioWeightDevice"
>;

interface Lacking {
  readonly asked: (limits: FitLimits) => boolean;
  readonly ability: keyof LimitAbilities;
  /** Of dockerd, word for word. */
  readonly warning: string;
  readonly instead: Partial<FitLimits>;
}

const noSupport = (what: string, end: string): string =>
  `Your kernel does not support ${what} or the cgroup is not mounted. ${end}`;

const lackings: readonly Lacking[] = [
  {
    asked: ({ Memory, MemorySwap }) => Memory > 0 && MemorySwap !== -1,
    ability: "swap",
    warning: noSupport("swap limit capabilities", "Memory limited without swap."),
    instead: { MemorySwap: -1 },
  },
  {
    asked: ({ MemorySwappiness }) => MemorySwappiness !== null,
    ability: "swappiness",
    warning: noSupport("memory swappiness capabilities", "Memory swappiness discarded."),
    instead: { MemorySwappiness: null },
  },
  {
    asked: ({ OomKillDisable }) => OomKillDisable,
    ability: "oomKillDisable",
    warning: "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    instead: { OomKillDisable: false },
  },
  {
    asked: ({ KernelMemoryTCP }) => KernelMemoryTCP > 0,
    ability: "tcpMemory",
    warning: noSupport("kernel memory TCP limit capabilities", "Limitation discarded."),
    instead: { KernelMemoryTCP: 0 },
  },
  {
    asked: ({ BlkioWeight }) => BlkioWeight > 0,
    ability: "ioWeight",
    warning: noSupport("Block I/O weight", "Weight discarded."),
    instead: { BlkioWeight: 0 },
  },
  {
    asked: ({ BlkioWeightDevice }) => BlkioWeightDevice.length > 0,
    ability: "ioWeight",
    warning: noSupport("Block I/O weight_device", "Weight-device discarded."),
    instead: { BlkioWeightDevice: [] },
  },
];

/** What dockerd makes of limits on this machine: what changes of them, and its warnings. Pure. */
export function fitLimits(
  limits: FitLimits,
  abilities: LimitAbilities,
): { readonly change: Partial<FitLimits>; readonly warnings: readonly string[] } {
  // As much swap as memory, without a word on it.
  const swap = limits.Memory > 0 && limits.MemorySwap === 0 ? { MemorySwap: limits.Memory * 2 } : {};
  const lacking = lackings.filter(({ asked, ability }) => asked(limits) && !abilities[ability]);
  const change: Partial<FitLimits> = Object.assign({}, swap, ...lacking.map(({ instead }) => instead));
  const warnings = lacking.map(({ warning }) => warning);
  if (limits.OomKillDisable && abilities.oomKillDisable && limits.Memory === 0)
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    );
  return { change, warnings };
}
