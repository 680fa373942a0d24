/** Removing a container on the user's word. */
import { GantryError } from "../../lib/index.ts";
import { isAlive } from "../container.ts";
import type { EngineContext } from "../context.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { killContainer } from "./stop.ts";

export interface RemoveOptions {
  /** Kills it when it runs. */
  readonly force: boolean;
  /** Its anonymous volumes too. */
  readonly volumes: boolean;
}

/** @throws {GantryError} "conflict" when it runs, is paused or waits for a restart, and `force` is not set */
export async function removeContainer(
  context: EngineContext,
  lifecycle: Lifecycle,
  id: string,
  options: RemoveOptions,
): Promise<void> {
  const { store } = context;
  // A start that is under way comes first.
  await lifecycle.locks.run(id, () => undefined);
  if (!store.has(id)) return;
  refuseRunning(context, id, options.force);
  if (options.force) await end(context, lifecycle, id);
  await lifecycle.locks.run(id, async () => {
    // With --rm its end was its removal.
    if (!store.has(id)) return;
    refuseRunning(context, id, false);
    await lifecycle.dispose(id, options.volumes);
  });
}

async function end(context: EngineContext, lifecycle: Lifecycle, id: string): Promise<void> {
  const { status } = context.store.get(id).state;
  if (!isAlive(status) && status !== "restarting") return;
  try {
    await killContainer(context, lifecycle, id, "SIGKILL");
  } catch (error) {
    // It ended by itself in this moment.
    if (!(error instanceof GantryError) || error.code !== "conflict") throw error;
  }
}

function refuseRunning({ store }: EngineContext, id: string, force: boolean): void {
  const { record, state } = store.get(id);
  if (force || (!isAlive(state.status) && state.status !== "restarting")) return;
  const what = state.status === "paused" ? "paused and must be unpaused first" : state.status;
  throw new GantryError(
    "conflict",
    `cannot remove container "${record.name}": container is ${what}: stop the container before removing or force remove`,
    {
      hint: `gantry rm -f ${record.name}`,
    },
  );
}
