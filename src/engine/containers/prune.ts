/** Removing all containers that do not run. */
import { messageOf } from "../../lib/index.ts";
import { isAlive } from "../container.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import { containerPaths } from "../paths.ts";
import { treeBytes } from "../tree-bytes.ts";
import type { Lifecycle } from "./lifecycle.ts";

export interface PruneFilters {
  /** Created before this time; undefined: all. */
  readonly untilMs?: number;
  /** `key` or `key=value`: all must fit. */
  readonly labels?: readonly string[];
  /** None may fit. */
  readonly notLabels?: readonly string[];
}

export interface Pruned {
  readonly deleted: readonly string[];
  readonly reclaimedBytes: number;
}

/** One that cannot be removed does not keep the others. */
export async function pruneContainers(
  context: EngineContext,
  lifecycle: Lifecycle,
  filters: PruneFilters,
): Promise<Pruned> {
  const deleted: string[] = [];
  let reclaimedBytes = 0;
  for (const { record } of context.store.list().filter((stored) => isPrunable(stored, filters))) {
    await lifecycle.locks.run(record.id, async () => {
      const stored = context.store.has(record.id) ? context.store.get(record.id) : undefined;
      if (stored === undefined || !isPrunable(stored, filters)) return;
      try {
        const bytes = await treeBytes(containerPaths(context.paths, record.id).dir);
        await lifecycle.dispose(record.id, false);
        reclaimedBytes += bytes;
        deleted.push(record.id);
      } catch (error) {
        context.logger.warn("container.prune-failed", { id: record.id, error: messageOf(error) });
      }
    });
  }
  return { deleted, reclaimedBytes };
}

/** Pure. */
export function isPrunable({ record, state }: StoredContainer, filters: PruneFilters): boolean {
  if (isAlive(state.status) || state.status === "restarting" || state.launching) return false;
  if (filters.untilMs !== undefined && record.createdAtMs >= filters.untilMs) return false;
  const fits = (label: string): boolean => {
    const at = label.indexOf("=");
    const value = record.config.Labels[at < 0 ? label : label.slice(0, at)];
    return value !== undefined && (at < 0 || value === label.slice(at + 1));
  };
  return (filters.labels ?? []).every(fits) && !(filters.notLabels ?? []).some(fits);
}
