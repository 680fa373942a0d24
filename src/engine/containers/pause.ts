/** Freezing and thawing all processes of a container (cgroup freezer). */
import { GantryError, toGantryError } from "../../lib/index.ts";
import { setFrozen } from "../../runtime/index.ts";
import type { EngineContext } from "../context.ts";
import { cgroupPath } from "../paths.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** @throws {GantryError} "conflict" when it does not run or is paused already */
export function pauseContainer(context: EngineContext, lifecycle: Lifecycle, id: string): Promise<void> {
  return lifecycle.locks.run(id, async () => {
    const { state } = context.store.get(id);
    if (state.status === "paused") throw new GantryError("conflict", `Container ${id} is already paused`);
    if (state.status !== "running") throw new GantryError("conflict", `Container ${id} is not running`);
    await freeze(context, id, true);
    // It may have been ended while it was being frozen; its exit is recorded in line, after this.
    context.store.update(id, { status: "paused" });
    lifecycle.emit(id, "pause");
  });
}

/** @throws {GantryError} "conflict" when it is not paused */
export function unpauseContainer(context: EngineContext, lifecycle: Lifecycle, id: string): Promise<void> {
  return lifecycle.locks.run(id, async () => {
    if (context.store.get(id).state.status !== "paused")
      throw new GantryError("conflict", `Container ${id} is not paused`);
    await freeze(context, id, false);
    context.store.update(id, { status: "running" });
    lifecycle.emit(id, "unpause");
  });
}

async function freeze({ cgroups, paths, store }: EngineContext, id: string, frozen: boolean): Promise<void> {
  try {
    await setFrozen(cgroups, cgroupPath(paths, store.get(id).record), frozen);
  } catch (error) {
    throw toGantryError(error, `${frozen ? "pause" : "unpause"} container ${id}`);
  }
}
