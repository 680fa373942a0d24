/** Changing limits and restart policy of a container, also while it runs. */
import { GantryError, toGantryError } from "../../lib/index.ts";
import { updateResources } from "../../runtime/index.ts";
import { type HostConfig, isAlive } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { checkControllers, limitResources } from "../oci-resources.ts";
import { cgroupPath } from "../paths.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** What is missing or, for numbers, 0 and, for texts, empty stays as it is. */
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
    | "CpusetCpus"
    | "CpusetMems"
    | "PidsLimit"
    | "RestartPolicy"
  >
>;

/**
 * The kernel first, then the record: what is recorded holds. Returns warnings.
 * @throws {GantryError} "conflict" (a limit that cannot be set now), "invalid", "unsupported" (controller missing)
 */
export function updateContainer(
  context: EngineContext,
  lifecycle: Lifecycle,
  id: string,
  request: UpdateRequest,
): Promise<readonly string[]> {
  return lifecycle.locks.run(id, () => {
    const { record, state } = context.store.get(id);
    if (state.status === "removing" || state.status === "dead") {
      throw new GantryError("conflict", `container ${id} is marked for removal and cannot be updated`);
    }
    const host = mergeUpdate(record.host, request);
    checkControllers(host, context.cgroups);
    if (isAlive(state.status)) {
      try {
        updateResources(
          context.cgroups,
          cgroupPath(context.paths, record),
          limitResources(host, context.host.swapAccounting),
        );
      } catch (error) {
        throw toGantryError(error, `update container ${id}`);
      }
    }
    context.store.replaceRecord({ ...record, host });
    lifecycle.emit(id, "update");
    return [];
  });
}

/** Pure. @throws {GantryError} "invalid" as at creation */
export function mergeUpdate(host: HostConfig, request: UpdateRequest): HostConfig {
  const given = Object.entries(request).filter(
    ([, value]) => value !== undefined && value !== 0 && value !== "",
  );
  const merged: HostConfig = { ...host, ...Object.fromEntries(given) };
  if (merged.AutoRemove && merged.RestartPolicy.Name !== "no") {
    throw new GantryError(
      "invalid",
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
  }
  if (merged.MemorySwap > 0 && merged.MemorySwap < merged.Memory) {
    throw new GantryError(
      "conflict",
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    );
  }
  const quota = (request.CpuQuota ?? 0) !== 0 || (request.CpuPeriod ?? 0) !== 0;
  if (quota && merged.NanoCpus > 0) {
    throw new GantryError(
      "conflict",
      "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
    );
  }
  if ((request.NanoCpus ?? 0) > 0 && (host.CpuQuota !== 0 || host.CpuPeriod !== 0)) {
    throw new GantryError(
      "conflict",
      "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
    );
  }
  return merged;
}
