/** A container's usage as GET /containers/{id}/stats sends it (Docker Engine API 1.50). Pure. */
import type { ContainerStats, InterfaceStats } from "../containers/stats.ts";

const zeroTime = "0001-01-01T00:00:00Z";

/** @param before the sample a second earlier: clients make percentages of the difference */
export function wireStats(stats: ContainerStats, before: ContainerStats | undefined): object {
  return {
    id: stats.id,
    name: `/${stats.name}`,
    os_type: "linux",
    read: timeOf(stats),
    preread: before === undefined ? zeroTime : timeOf(before),
    cpu_stats: wireCpu(stats),
    precpu_stats: before === undefined ? noCpu : wireCpu(before),
    memory_stats: wireMemory(stats),
    pids_stats: wirePids(stats),
    blkio_stats: wireBlockIo(stats),
    num_procs: 0,
    storage_stats: {},
    ...(Object.keys(stats.networks).length === 0
      ? {}
      : { networks: mapValues(stats.networks, wireInterface) }),
  };
}

const timeOf = (stats: ContainerStats): string => new Date(stats.readAtMs).toISOString();

const noCpu = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

function wireCpu({ running, usage: { cpu }, systemCpuNs, onlineCpus }: ContainerStats): object {
  if (!running || cpu === undefined) return noCpu;
  return {
    cpu_usage: {
      total_usage: cpu.totalNs,
      ...(cpu.perCpuNs === undefined ? {} : { percpu_usage: cpu.perCpuNs }),
      usage_in_kernelmode: cpu.systemNs,
      usage_in_usermode: cpu.userNs,
    },
    system_cpu_usage: systemCpuNs,
    online_cpus: onlineCpus,
    throttling_data: {
      periods: cpu.periods,
      throttled_periods: cpu.throttledPeriods,
      throttled_time: cpu.throttledNs,
    },
  };
}

function wireMemory({ usage: { memory }, memoryTotalBytes }: ContainerStats): object {
  if (memory === undefined) return {};
  return {
    usage: memory.usage,
    ...(memory.maxUsage === 0 ? {} : { max_usage: memory.maxUsage }),
    stats: memory.stat,
    ...(memory.failures === 0 ? {} : { failcnt: memory.failures }),
    limit: Math.min(memory.limit ?? memoryTotalBytes, memoryTotalBytes),
  };
}

function wirePids({ usage: { pids } }: ContainerStats): object {
  if (pids === undefined) return {};
  return { current: pids.current, ...(pids.limit === undefined ? {} : { limit: pids.limit }) };
}

function wireBlockIo({ usage: { blockIo } }: ContainerStats): object {
  const entries = (
    read: (of: NonNullable<typeof blockIo>[number]) => number,
    write: typeof read,
  ): object[] | null =>
    blockIo === undefined
      ? null
      : blockIo.flatMap((of) => [
          { major: of.major, minor: of.minor, op: "read", value: read(of) },
          { major: of.major, minor: of.minor, op: "write", value: write(of) },
        ]);
  return {
    io_service_bytes_recursive: entries(
      (of) => of.readBytes,
      (of) => of.writeBytes,
    ),
    io_serviced_recursive: entries(
      (of) => of.reads,
      (of) => of.writes,
    ),
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  };
}

function wireInterface(of: InterfaceStats): object {
  return {
    rx_bytes: of.rxBytes,
    rx_packets: of.rxPackets,
    rx_errors: of.rxErrors,
    rx_dropped: of.rxDropped,
    tx_bytes: of.txBytes,
    tx_packets: of.txPackets,
    tx_errors: of.txErrors,
    tx_dropped: of.txDropped,
  };
}

function mapValues<T>(map: Readonly<Record<string, T>>, wire: (value: T) => object): object {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, wire(value)]));
}
