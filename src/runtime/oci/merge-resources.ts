/** Old limits of a container and a change to them. Pure. */
import type { OciBlockIo, OciCpu, OciMemory, OciResources } from "../oci-types.ts";

export interface MergedResources {
  /** What holds from now on; kept in the container's config. */
  readonly kept: OciResources;
  /** What must be written for it: the change, completed by the old values that one file of the kernel joins with it. */
  readonly change: OciResources;
}

/** Puts a change on top of what a container has. Kernel memory is no limit any more and is dropped. */
export function mergeResources(old: OciResources, asked: OciResources): MergedResources {
  const memory = asked.memory === undefined ? undefined : changedMemory(old.memory ?? {}, asked.memory);
  const cpu = asked.cpu === undefined ? undefined : changedCpu(old.cpu ?? {}, asked.cpu);
  const blockIO = asked.blockIO === undefined ? undefined : mergeBlockIo(old.blockIO ?? {}, asked.blockIO);
  const { devices: _, memory: _memory, cpu: _cpu, blockIO: askedIo, ...others } = asked;
  const change: OciResources = {
    ...others,
    ...(memory === undefined ? {} : { memory }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(askedIo === undefined ? {} : { blockIO: askedIo }),
  };
  const kept: OciResources = {
    ...old,
    ...others,
    ...(asked.unified === undefined ? {} : { unified: { ...old.unified, ...asked.unified } }),
    ...(asked.hugepageLimits === undefined
      ? {}
      : { hugepageLimits: upsert(old.hugepageLimits, asked.hugepageLimits, ({ pageSize }) => pageSize) }),
    ...(asked.rdma === undefined ? {} : { rdma: { ...old.rdma, ...asked.rdma } }),
    ...(memory === undefined ? {} : { memory: { ...old.memory, ...memory } }),
    ...(cpu === undefined ? {} : { cpu: { ...old.cpu, ...cpu } }),
    ...(blockIO === undefined ? {} : { blockIO }),
  };
  return { kept, change };
}

/** v2 limits swap alone, so that a new sum needs the limit; and no limit leaves none for the sum. */
function changedMemory(old: OciMemory, asked: OciMemory): OciMemory {
  const { kernel: _, kernelTCP: _tcp, ...change } = asked;
  if (change.limit === -1 && change.swap === undefined) return { ...change, swap: -1 };
  const limit = change.limit ?? old.limit;
  if (change.swap !== undefined && change.swap > 0 && limit !== undefined) return { ...change, limit };
  return change;
}

/** v2 has quota and period in one file. An idle group takes no weight. */
function changedCpu(old: OciCpu, asked: OciCpu): OciCpu {
  const { quota, period } = asked;
  if (!isGiven(quota) && !isGiven(period)) return asked;
  const fullQuota = isGiven(quota) ? quota : old.quota;
  const fullPeriod = isGiven(period) ? period : old.period;
  return {
    ...asked,
    ...(isGiven(fullQuota) ? { quota: fullQuota } : {}),
    ...(isGiven(fullPeriod) ? { period: fullPeriod } : {}),
  };
}

/** 0 means: leave it. */
function isGiven(value: number | undefined): value is number {
  return value !== undefined && value !== 0;
}

const deviceLists = [
  "throttleReadBpsDevice",
  "throttleWriteBpsDevice",
  "throttleReadIOPSDevice",
  "throttleWriteIOPSDevice",
] as const;

function numberOf({ major, minor }: { readonly major: number; readonly minor: number }): string {
  return `${major}:${minor}`;
}

function mergeBlockIo(old: OciBlockIo, asked: OciBlockIo): OciBlockIo {
  const lists = deviceLists.filter((list) => asked[list] !== undefined);
  return {
    ...old,
    ...asked,
    ...Object.fromEntries(lists.map((list) => [list, upsert(old[list], asked[list] ?? [], numberOf)])),
    ...(asked.weightDevice === undefined
      ? {}
      : { weightDevice: upsert(old.weightDevice, asked.weightDevice, numberOf) }),
  };
}

/** New entries replace old ones of the same key. */
function upsert<Entry>(
  old: readonly Entry[] = [],
  fresh: readonly Entry[],
  keyOf: (entry: Entry) => string,
): readonly Entry[] {
  return [...new Map([...old, ...fresh].map((entry) => [keyOf(entry), entry])).values()];
}
