/**
 * The host goes down: every container is stopped as `stop` would do it, all at once, those that join another one's namespaces
 * before that one. None counts as stopped by the user: restart policies start them again with the next engine.
 */
import { messageOf } from "../../lib/index.ts";
import { type ContainerRecord, isAlive } from "../container.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import { joinedReference } from "./joined-container.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { defaultTimeoutSeconds, stopContainer } from "./stop.ts";

const sigkill = 9;
/** What a container whose own time is longer than all have gets on top of it, as with dockerd. */
const graceMs = 5000;

export interface ShutDown {
  readonly stopped: number;
  /** Those that the engine could not stop in time. */
  readonly left: readonly string[];
}

/** @param timeoutMs for all together; containers whose own timeout is longer have that. Negative: as long as they want */
export async function shutDownContainers(
  context: EngineContext,
  lifecycle: Lifecycle,
  timeoutMs: number,
): Promise<ShutDown> {
  lifecycle.drain();
  const all = context.store.list().filter(({ state }) => isAlive(state.status));
  const deadline = deadlineMs(all, timeoutMs);
  const late = deadline === undefined ? undefined : setTimeout(() => killAll(lifecycle, all), deadline);
  const left: string[] = [];
  const stopping = new Map<string, Promise<void>>();
  const stop = (stored: StoredContainer): Promise<void> => {
    const known = stopping.get(stored.record.id);
    if (known !== undefined) return known;
    // Known before anything is waited for: two that join each other do not wait for each other.
    const turn = Promise.withResolvers<void>();
    stopping.set(stored.record.id, turn.promise);
    void Promise.all(guestsOf(stored.record, all).map(stop))
      .then(() => stopContainer(context, lifecycle, stored.record.id, { byUser: false }))
      .catch((error: unknown) => {
        // It ended by itself meanwhile, or is unkillable.
        if (!context.store.has(stored.record.id)) return;
        if (!isAlive(context.store.get(stored.record.id).state.status)) return;
        left.push(stored.record.id);
        context.logger.error("container.not-stopped", { id: stored.record.id, error: messageOf(error) });
      })
      .finally(() => turn.resolve());
    return turn.promise;
  };
  await Promise.all(all.map(stop));
  clearTimeout(late);
  return { stopped: all.length - left.length, left };
}

/** Undefined: none. Pure. */
function deadlineMs(all: readonly StoredContainer[], timeoutMs: number): number | undefined {
  const own = all.map(({ record }) => record.config.StopTimeout ?? defaultTimeoutSeconds);
  if (timeoutMs < 0 || own.some((seconds) => seconds < 0)) return timeoutMs < 0 ? undefined : timeoutMs;
  return Math.max(timeoutMs, ...own.map((seconds) => seconds * 1000 + graceMs));
}

function killAll(lifecycle: Lifecycle, all: readonly StoredContainer[]): void {
  for (const { record } of all) {
    try {
      void lifecycle
        .control(record.id)
        .signal(sigkill)
        .catch(() => undefined);
    } catch {
      // "conflict": it has ended.
    }
  }
}

/** Containers that live in namespaces of this one. Pure. */
function guestsOf(host: ContainerRecord, all: readonly StoredContainer[]): readonly StoredContainer[] {
  return all.filter(({ record }) =>
    [record.host.PidMode, record.host.IpcMode, record.host.NetworkMode].some((mode) =>
      [host.id, host.name].includes(joinedReference(mode) ?? ""),
    ),
  );
}
