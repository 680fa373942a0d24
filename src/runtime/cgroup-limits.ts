/** OCI resources as writes to cgroup files, for each kernel interface (cgroup-v1, cgroup-v2 of the kernel's docs). Pure. */
import type { CgroupLayout } from "../kernel/index.ts";
import type { OciBlockIo, OciCpu, OciMemory, OciResources } from "./oci-types.ts";

export interface LimitWrite {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** Which part of the config asks for it, such as `linux.resources.memory`. */
  readonly path: string;
}

/** An asked limit that this interface of the kernel does not have. */
export interface MissingLimit {
  readonly path: string;
  readonly why: string;
}

export interface LimitWrites {
  /** In the order in which a fresh cgroup takes them. */
  readonly writes: readonly LimitWrite[];
  readonly missing: readonly MissingLimit[];
}

export type CgroupInterface = "v1" | "v2";

/** Which files a controller has here; on hybrid layouts the two kinds stand side by side. */
export function interfaceOf(cgroups: CgroupLayout, controller: string): CgroupInterface {
  if (cgroups.kind === "v2") return "v2";
  const mount = cgroups.controllers[controller];
  return mount !== undefined && mount === cgroups.unified ? "v2" : "v1";
}

export function limitWrites(cgroups: CgroupLayout, resources: OciResources = {}): LimitWrites {
  const onV1 = (controller: string): boolean => interfaceOf(cgroups, controller) === "v1";
  const writes: LimitWrite[] = [];
  const missing: MissingLimit[] = [];
  const part = (name: string) => ({
    write: (controller: string, file: string, value: string | number | undefined): void => {
      if (value !== undefined)
        writes.push({ controller, file, value: String(value), path: `linux.resources.${name}` });
    },
    lacks: (field: string, why: string): void => {
      missing.push({ path: `linux.resources.${name}.${field}`, why });
    },
  });
  const blkio = cgroups.kind !== "v2" && cgroups.controllers["io"] === undefined;
  const { memory, cpu, pids, blockIO, hugepageLimits = [], network, rdma, unified } = resources;
  if (memory !== undefined) (onV1("memory") ? memoryV1 : memoryV2)(memory, part("memory"));
  if (cpu !== undefined) (onV1("cpu") ? cpuV1 : cpuV2)(cpu, part("cpu"));
  if (pids !== undefined && pids.limit !== 0)
    part("pids").write("pids", "pids.max", pids.limit < 0 ? "max" : pids.limit);
  if (blockIO !== undefined) (blkio ? blockIoV1 : blockIoV2)(blockIO, part("blockIO"));
  for (const { pageSize, limit } of hugepageLimits)
    part("hugepageLimits").write(
      "hugetlb",
      `hugetlb.${pageSize}.${onV1("hugetlb") ? "limit_in_bytes" : "max"}`,
      limit,
    );
  for (const [device, limits] of Object.entries(rdma ?? {}))
    part("rdma").write("rdma", "rdma.max", rdmaLine(device, limits));
  if (network !== undefined) {
    const target = part("network");
    if (cgroups.kind === "v2") target.lacks("classID", "cgroup v2 has no net_cls and net_prio");
    else {
      target.write("net_cls", "net_cls.classid", network.classID);
      for (const { name, priority } of network.priorities ?? [])
        target.write("net_prio", "net_prio.ifpriomap", `${name} ${priority}`);
    }
  }
  for (const [file, value] of Object.entries(unified ?? {})) {
    const controller = file.split(".")[0] ?? "";
    if (controller !== "cgroup" && onV1(controller))
      part("unified").lacks(file, "it needs cgroup v2, and this machine has the controller on v1");
    else part("unified").write(controller, file, value);
  }
  return { writes, missing };
}

interface Part {
  write(controller: string, file: string, value: string | number | undefined): void;
  lacks(field: string, why: string): void;
}

function memoryV1(memory: OciMemory, part: Part): void {
  // A fresh group has no limits: the memory limit comes first, because memory plus swap may never be below it.
  if (memory.limit !== 0) part.write("memory", "memory.limit_in_bytes", memory.limit);
  // Unlimited swap is what a fresh group has; without swap accounting its file does not even exist.
  if (memory.swap !== undefined && memory.swap > 0)
    part.write("memory", "memory.memsw.limit_in_bytes", memory.swap);
  if (memory.reservation !== 0) part.write("memory", "memory.soft_limit_in_bytes", memory.reservation);
  if (memory.kernelTCP !== 0) part.write("memory", "memory.kmem.tcp.limit_in_bytes", memory.kernelTCP);
  part.write("memory", "memory.swappiness", memory.swappiness);
  if (memory.disableOOMKiller === true) part.write("memory", "memory.oom_control", 1);
}

function memoryV2(memory: OciMemory, part: Part): void {
  const { limit = 0, swap, reservation = 0 } = memory;
  if (limit !== 0) part.write("memory", "memory.max", maxOr(limit));
  // v2 limits swap alone; OCI has the sum.
  if (swap !== undefined && swap !== 0)
    part.write("memory", "memory.swap.max", swap < 0 || limit < 0 ? "max" : Math.max(0, swap - limit));
  if (reservation !== 0) part.write("memory", "memory.low", maxOr(reservation));
  if (memory.disableOOMKiller === true)
    part.lacks("disableOOMKiller", "cgroup v2 cannot turn the OOM killer off");
  if (memory.kernelTCP !== undefined && memory.kernelTCP !== 0)
    part.lacks("kernelTCP", "cgroup v2 counts TCP buffers in the one memory limit");
}

function cpuV1(cpu: OciCpu, part: Part): void {
  if (cpu.shares !== 0) part.write("cpu", "cpu.shares", cpu.shares);
  // The kernel checks quota, period and burst against each other at each write: the period first, the burst last.
  if (cpu.period !== 0) part.write("cpu", "cpu.cfs_period_us", cpu.period);
  if (cpu.quota !== 0)
    part.write("cpu", "cpu.cfs_quota_us", cpu.quota === undefined ? undefined : Math.max(-1, cpu.quota));
  part.write("cpu", "cpu.cfs_burst_us", cpu.burst);
  if (cpu.realtimePeriod !== 0) part.write("cpu", "cpu.rt_period_us", cpu.realtimePeriod);
  if (cpu.realtimeRuntime !== 0) part.write("cpu", "cpu.rt_runtime_us", cpu.realtimeRuntime);
  part.write("cpu", "cpu.idle", cpu.idle);
  cpuset(cpu, part);
}

const defaultPeriodUs = 100_000;

function cpuV2(cpu: OciCpu, part: Part): void {
  const { quota = 0, period = 0, shares = 0 } = cpu;
  if (shares !== 0) part.write("cpu", "cpu.weight", weightOfShares(shares));
  if (quota !== 0 || period !== 0)
    part.write("cpu", "cpu.max", `${quota > 0 ? quota : "max"} ${period > 0 ? period : defaultPeriodUs}`);
  part.write("cpu", "cpu.max.burst", cpu.burst);
  part.write("cpu", "cpu.idle", cpu.idle);
  if ((cpu.realtimePeriod ?? 0) !== 0 || (cpu.realtimeRuntime ?? 0) !== 0)
    part.lacks("realtimeRuntime", "cgroup v2 has no real-time limits");
  cpuset(cpu, part);
}

function cpuset(cpu: OciCpu, part: Part): void {
  if (cpu.cpus !== "") part.write("cpuset", "cpuset.cpus", cpu.cpus);
  if (cpu.mems !== "") part.write("cpuset", "cpuset.mems", cpu.mems);
}

/**
 * cpu.shares (2 … 262144, default 1024) as cpu.weight (1 … 10000, default 100): the curve of runc 1.3.2 and crun 1.23,
 * on which both defaults meet.
 */
export function weightOfShares(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

function blockIoV1(io: OciBlockIo, part: Part): void {
  if (io.weight !== 0) part.write("blkio", "blkio.weight", io.weight);
  for (const { major, minor, weight } of io.weightDevice ?? [])
    if (weight !== undefined) part.write("blkio", "blkio.weight_device", `${major}:${minor} ${weight}`);
  for (const [file, devices] of [
    ["read_bps_device", io.throttleReadBpsDevice],
    ["write_bps_device", io.throttleWriteBpsDevice],
    ["read_iops_device", io.throttleReadIOPSDevice],
    ["write_iops_device", io.throttleWriteIOPSDevice],
  ] as const)
    for (const { major, minor, rate } of devices ?? [])
      part.write("blkio", `blkio.throttle.${file}`, `${major}:${minor} ${rate}`);
}

function blockIoV2(io: OciBlockIo, part: Part): void {
  if (io.weight !== undefined && io.weight !== 0)
    part.write("io", "io.weight", `default ${ioWeight(io.weight)}`);
  for (const { major, minor, weight } of io.weightDevice ?? [])
    if (weight !== undefined) part.write("io", "io.weight", `${major}:${minor} ${ioWeight(weight)}`);
  for (const [key, devices] of [
    ["rbps", io.throttleReadBpsDevice],
    ["wbps", io.throttleWriteBpsDevice],
    ["riops", io.throttleReadIOPSDevice],
    ["wiops", io.throttleWriteIOPSDevice],
  ] as const)
    for (const { major, minor, rate } of devices ?? [])
      part.write("io", "io.max", `${major}:${minor} ${key}=${rate === 0 ? "max" : rate}`);
}

/** blkio.weight 10 … 1000 as io.weight 1 … 10000. */
function ioWeight(weight: number): number {
  return Math.floor(1 + ((weight - 10) * 9999) / 990);
}

function rdmaLine(
  device: string,
  limits: { readonly hcaHandles?: number; readonly hcaObjects?: number },
): string {
  const words = [device];
  if (limits.hcaHandles !== undefined) words.push(`hca_handle=${limits.hcaHandles}`);
  if (limits.hcaObjects !== undefined) words.push(`hca_object=${limits.hcaObjects}`);
  return words.join(" ");
}

function maxOr(value: number): string | number {
  return value < 0 ? "max" : value;
}
