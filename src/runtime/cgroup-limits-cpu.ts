/** linux.resources.cpu for both kernel interfaces. Pure. */
import type { LimitPart } from "./limit-write.ts";
import type { OciCpu } from "./oci-types.ts";

const defaultPeriodUs = 100_000;
const shares = { least: 2, most: 262_144 } as const;

export function cpuV1(cpu: OciCpu, part: LimitPart): void {
  // A task with a real-time policy can only enter a group that has real-time bandwidth.
  if (cpu.realtimePeriod !== 0) part.write("cpu", "cpu.rt_period_us", cpu.realtimePeriod);
  if (cpu.realtimeRuntime !== 0) part.write("cpu", "cpu.rt_runtime_us", cpu.realtimeRuntime);
  idleAround(cpu, part, () => part.write("cpu", "cpu.shares", sharesV1(cpu, part)));
  // The kernel checks quota, period and burst against each other at each write: the period first, the burst last.
  if (cpu.period !== 0) part.write("cpu", "cpu.cfs_period_us", cpu.period);
  if (cpu.quota !== 0)
    part.write("cpu", "cpu.cfs_quota_us", cpu.quota === undefined ? undefined : Math.max(-1, cpu.quota));
  part.write("cpu", "cpu.cfs_burst_us", cpu.burst);
  cpuset(cpu, part);
}

export function cpuV2(cpu: OciCpu, part: LimitPart): void {
  const { quota = 0, period = 0 } = cpu;
  idleAround(cpu, part, () => {
    if (cpu.shares !== undefined && cpu.shares !== 0)
      part.write("cpu", "cpu.weight", weightOfShares(cpu.shares));
  });
  if (quota !== 0 || period !== 0)
    part.write("cpu", "cpu.max", `${quota > 0 ? quota : "max"} ${period > 0 ? period : defaultPeriodUs}`);
  part.write("cpu", "cpu.max.burst", cpu.burst);
  if ((cpu.realtimePeriod ?? 0) !== 0 || (cpu.realtimeRuntime ?? 0) !== 0)
    part.lacks("realtimeRuntime", "cgroup v2 has no real-time limits");
  cpuset(cpu, part);
}

/** The kernel refuses a weight for an idle group: it is made idle after, and woken before. */
function idleAround({ idle }: OciCpu, part: LimitPart, weight: () => void): void {
  if (idle !== 1) part.write("cpu", "cpu.idle", idle);
  weight();
  if (idle === 1) part.write("cpu", "cpu.idle", idle);
}

/** The kernel would silently take the nearest value that it allows. */
function sharesV1(cpu: OciCpu, part: LimitPart): number | undefined {
  if (cpu.shares === undefined || cpu.shares === 0) return undefined;
  if (cpu.shares > shares.most)
    return part.wrong("shares", `the maximum allowed cpu-shares is ${shares.most}`);
  if (cpu.shares < shares.least)
    return part.wrong("shares", `the minimum allowed cpu-shares is ${shares.least}`);
  return cpu.shares;
}

function cpuset(cpu: OciCpu, part: LimitPart): void {
  if (cpu.cpus !== "") part.write("cpuset", "cpuset.cpus", cpu.cpus);
  if (cpu.mems !== "") part.write("cpuset", "cpuset.mems", cpu.mems);
}

/**
 * cpu.shares (2 … 262144, default 1024) as cpu.weight (1 … 10000, default 100): the curve of runc 1.3.2 and crun 1.23,
 * on which both defaults meet.
 */
export function weightOfShares(value: number): number {
  if (value <= shares.least) return 1;
  if (value >= shares.most) return 10_000;
  const log = Math.log2(value);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}
