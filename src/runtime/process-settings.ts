/** Scheduling, priorities, memory policy and execution domain of a process (runtime-spec config.md, "Process"). Pure. */
import { GantryError } from "../lib/index.ts";
import type { OciLinux, OciMemoryPolicy, OciProcess, OciScheduler } from "./oci-types.ts";
import type { Because } from "./plan-input.ts";
import type { ContainerStep, CpuAffinityStep, StepReason } from "./plan-step.ts";
import { ioClasses, memoryModes, schedulerPolicies } from "./step-phrase.ts";

/** @see sched_setattr(2) */
const schedulerFlags: Readonly<Record<string, bigint>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01n,
  SCHED_FLAG_RECLAIM: 0x02n,
  SCHED_FLAG_DL_OVERRUN: 0x04n,
  SCHED_FLAG_KEEP_POLICY: 0x08n,
  SCHED_FLAG_KEEP_PARAMS: 0x10n,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20n,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40n,
};

/** @see set_mempolicy(2) */
const memoryFlags: Readonly<Record<string, number>> = {
  MPOL_F_NUMA_BALANCING: 1 << 13,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_STATIC_NODES: 1 << 15,
};

/** @see personality(2) */
const personalities: Readonly<Record<string, number>> = { LINUX: 0, LINUX32: 8 };

/** As many as the kernel can be built for. */
const mostNumbers = 8192;
const mostNodes = 1024;

/**
 * Those that need rights come before the rights are given up.
 * @param linux what is the container's as a whole; an exec's process has the same
 */
export function settingSteps(
  process: OciProcess,
  linux: OciLinux | undefined,
  because: Because,
): readonly ContainerStep[] {
  const steps: ContainerStep[] = [];
  if (process.scheduler !== undefined && Object.keys(process.scheduler).length > 0)
    steps.push({
      ...schedulerStep(process.scheduler),
      because: because("process.scheduler of the config", "process.scheduler"),
    });
  if (process.ioPriority !== undefined)
    steps.push({
      do: "io-priority",
      value:
        (indexIn(ioClasses, process.ioPriority.class, "process.ioPriority.class") << 13) |
        (process.ioPriority.priority ?? 0),
      because: because("process.ioPriority of the config", "process.ioPriority"),
    });
  if (linux?.memoryPolicy !== undefined && Object.keys(linux.memoryPolicy).length > 0)
    steps.push({
      ...memoryPolicyStep(linux.memoryPolicy),
      because: because("linux.memoryPolicy of the config", "linux.memoryPolicy"),
    });
  if (linux?.personality !== undefined)
    steps.push({
      do: "personality",
      value: valueIn(personalities, linux.personality.domain, "linux.personality.domain"),
      because: because("linux.personality of the config", "linux.personality"),
    });
  return steps;
}

function schedulerStep(scheduler: OciScheduler): ContainerStep {
  return {
    do: "scheduler",
    policy: indexIn(schedulerPolicies, scheduler.policy, "process.scheduler.policy"),
    nice: scheduler.nice ?? 0,
    priority: scheduler.priority ?? 0,
    flags: (scheduler.flags ?? []).reduce(
      (sum, flag) => sum | valueIn(schedulerFlags, flag, "process.scheduler.flags"),
      0n,
    ),
    runtime: BigInt(scheduler.runtime ?? 0),
    deadline: BigInt(scheduler.deadline ?? 0),
    period: BigInt(scheduler.period ?? 0),
  };
}

function memoryPolicyStep(policy: OciMemoryPolicy): ContainerStep {
  const flags = (policy.flags ?? []).reduce(
    (sum, flag) => sum | valueIn(memoryFlags, flag, "linux.memoryPolicy.flags"),
    0,
  );
  return {
    do: "memory-policy",
    mode: indexIn(memoryModes, policy.mode, "linux.memoryPolicy.mode") | flags,
    nodes: numberSet(policy.nodes ?? "", "linux.memoryPolicy.nodes", mostNodes),
  };
}

/** The set of an affinity's list; none: all processors of the cpuset. */
export function affinityStep(list: string | undefined, path: string): CpuAffinityStep & StepReason {
  const cpus = numberSet(list ?? "", path, mostNumbers);
  return {
    do: "cpu-affinity",
    cpus,
    // A starter that is bound to a processor must not bind its containers; where that cannot be undone nothing is lost.
    ...(cpus.length > 0
      ? { because: path }
      : { because: "the default: all CPUs, whichever the runtime was started on", optional: true }),
  };
}

/** "0-2,4" as a set of bits, in whole words of 8 bytes. */
export function numberSet(list: string, path: string, most: number): Uint8Array {
  const numbers: number[] = [];
  for (const part of list.split(",")) {
    if (part.trim() === "") continue;
    const [, low = "", high = low] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    const [first, last] = [Number(low === "" ? "x" : low), Number(high)];
    if (!(first <= last && last < most))
      throw new GantryError("invalid", `${path}: ${JSON.stringify(list)} is not a list such as 0-2,4`);
    for (let number = first; number <= last; number++) numbers.push(number);
  }
  const bytes = new Uint8Array(numbers.length === 0 ? 0 : ((Math.max(...numbers) >> 6) + 1) * 8);
  for (const number of numbers) bytes[number >> 3] = (bytes[number >> 3] ?? 0) | (1 << (number & 7));
  return bytes;
}

function indexIn(names: readonly string[], name: string, path: string): number {
  const index = names.indexOf(name);
  if (index < 0) throw unknown(name, path, names);
  return index;
}

function valueIn<T>(values: Readonly<Record<string, T>>, name: string, path: string): T {
  const value = Object.keys(values).includes(name) ? values[name] : undefined;
  if (value === undefined) throw unknown(name, path, Object.keys(values));
  return value;
}

function unknown(name: string, path: string, known: readonly string[]): GantryError {
  return new GantryError("invalid", `${path}: ${JSON.stringify(name)} is not one of ${known.join(", ")}`);
}
