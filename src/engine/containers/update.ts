/** Changing limits and restart policy of a container, also while it runs. */
import { GantryError, messageOf, toGantryError } from "../../lib/index.ts";
import { enterHierarchy, type OciResources, updateResources } from "../../runtime/index.ts";
import { type ContainerRecord, type HostConfig, isAlive } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { checkAvailable } from "../cpuset.ts";
import { fitLimits } from "../limit-abilities.ts";
import { changedResources, checkControllers } from "../oci-resources.ts";
import { cgroupPath } from "../paths.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** What is missing or, for numbers, 0 and, for texts, empty stays as it is; but for PidsLimit, where 0 is no limit. */
export type UpdateRequest = Partial<
  Pick<
    HostConfig,
    | "Memory"
    | "MemorySwap"
    | "MemoryReservation"
    | "NanoCpus"
    | "CpuShares"
    | "CpuPeriod"
    | "CpuQuota"
    | "CpuRealtimePeriod"
    | "CpuRealtimeRuntime"
    | "CpusetCpus"
    | "CpusetMems"
    | "BlkioWeight"
    | "PidsLimit"
    | "RestartPolicy"
  >
>;

/**
 * The kernel first, then the record: what is recorded holds. What the kernel refuses leaves the container as it was.
 * @returns warnings
 * @throws {GantryError} "conflict" (a limit that cannot be set now), "invalid", "unsupported" (controller missing)
 */
export function updateContainer(
  context: EngineContext,
  lifecycle: Lifecycle,
  id: string,
  asked: UpdateRequest,
): Promise<readonly string[]> {
  return lifecycle.locks.run(id, () => {
    const { record, state } = context.store.get(id);
    if (state.status === "removing" || state.status === "dead")
      throw cannotUpdate(id, 'container is marked for removal and cannot be "update"');
    const { request, warnings } = fitUpdate(context, record.host, asked);
    const host = mergeUpdate(id, record.host, request);
    checkControllers(host, context.cgroups);
    if (isAlive(state.status)) applyUpdate(context, record, host);
    context.store.replaceRecord({ ...record, host });
    lifecycle.emit(id, "update");
    return warnings;
  });
}

function cannotUpdate(id: string, why: string, cause?: unknown): GantryError {
  return new GantryError("conflict", `Cannot update container ${id}: ${why}`, { cause });
}

/** What this machine cannot keep is left out, with dockerd's warning. @throws {GantryError} "invalid" */
function fitUpdate(
  context: EngineContext,
  present: HostConfig,
  asked: UpdateRequest,
): { readonly request: UpdateRequest; readonly warnings: readonly string[] } {
  const { abilities } = context.host;
  checkAvailable(asked.CpusetCpus ?? "", abilities.cpus, "CPUs");
  checkAvailable(asked.CpusetMems ?? "", abilities.mems, "memory nodes");
  const untouched = { OomKillDisable: false, KernelMemoryTCP: 0, MemorySwappiness: null };
  const { change, warnings } = fitLimits(
    { ...present, ...untouched, BlkioWeightDevice: [], BlkioWeight: 0, Memory: 0, MemorySwap: 0, ...asked },
    abilities,
  );
  const { BlkioWeight, MemorySwap } = change;
  return {
    request: {
      ...asked,
      ...(BlkioWeight === undefined ? {} : { BlkioWeight }),
      ...(abilities.swap || MemorySwap === undefined ? {} : { MemorySwap }),
    },
    warnings,
  };
}

/** @throws {GantryError} why the kernel refuses; all is as before then */
function applyUpdate(context: EngineContext, record: ContainerRecord, host: HostConfig): void {
  const { cgroups, paths, logger } = context;
  const path = cgroupPath(paths, record);
  const write = (resources: OciResources): void => updateResources(cgroups, path, resources);
  const { swapAccounting } = context.host;
  try {
    const changed = changedResources(record.host, host, swapAccounting);
    if (changed.cpu?.cpus !== undefined || changed.cpu?.mems !== undefined)
      enterHierarchy(cgroups, path, "cpuset");
    if (changed.blockIO !== undefined) enterHierarchy(cgroups, path, "blkio");
    write(changed);
  } catch (error) {
    try {
      write(changedResources(host, record.host, swapAccounting));
    } catch (undoing) {
      logger.warn("update.undo-failed", { id: record.id, error: messageOf(undoing) });
    }
    const { code, message, hint } = toGantryError(error);
    throw new GantryError(code, `Cannot update container ${record.id}: ${message}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** Pure. @throws {GantryError} "conflict", in dockerd's words */
export function mergeUpdate(id: string, host: HostConfig, request: UpdateRequest): HostConfig {
  for (const why of conflicts(host, request)) throw cannotUpdate(id, why);
  const given = Object.entries(request).filter(
    ([key, value]) => value !== undefined && ((value !== 0 && value !== "") || key === "PidsLimit"),
  );
  return { ...host, ...Object.fromEntries(given) };
}

function* conflicts(host: HostConfig, request: UpdateRequest): Generator<string> {
  const isSet = (value: number | undefined): boolean => (value ?? 0) > 0;
  const options = "Conflicting options:";
  if (isSet(request.NanoCpus) && host.CpuPeriod > 0)
    yield `${options} Nano CPUs cannot be updated as CPU Period has already been set`;
  if (isSet(request.NanoCpus) && host.CpuQuota > 0)
    yield `${options} Nano CPUs cannot be updated as CPU Quota has already been set`;
  if (isSet(request.CpuPeriod) && host.NanoCpus > 0)
    yield `${options} CPU Period cannot be updated as NanoCPUs has already been set`;
  if (isSet(request.CpuQuota) && host.NanoCpus > 0)
    yield `${options} CPU Quota cannot be updated as NanoCPUs has already been set`;
  const memory = request.Memory ?? 0;
  // -1 is unlimited. Without a word on swap yet there is nothing to contradict.
  if (memory > host.MemorySwap && host.MemorySwap > 0 && (request.MemorySwap ?? 0) === 0)
    yield "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time";
  if (request.RestartPolicy !== undefined && request.RestartPolicy.Name !== "no" && host.AutoRemove)
    yield "Restart policy cannot be updated because AutoRemove is enabled for the container";
}
