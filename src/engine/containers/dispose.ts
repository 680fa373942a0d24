/** The end of a container's record and of everything that belongs to it. A crash between two steps is continued at the next start. */
import { rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { messageOf, toGantryError } from "../../lib/index.ts";
import type { ContainerRecord } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { containerPaths } from "../paths.ts";
import { leaseOf } from "./lease.ts";
import { clearForeign } from "./foreign.ts";
import { releaseSharedMemory } from "./shared-memory.ts";

/**
 * @param anonymousVolumes those without a name of the user's go too
 * @throws {GantryError} the container is `dead` then: it can only be removed again
 */
export async function dispose(
  context: EngineContext,
  record: ContainerRecord,
  anonymousVolumes: boolean,
): Promise<void> {
  const { images, store, networks } = context;
  const { id } = record;
  store.update(id, { status: "removing" });
  try {
    networks.release(id);
    const paths = containerPaths(context.paths, id);
    rmSync(paths.monitorSocket, { force: true });
    clearForeign(context, id);
    releaseSharedMemory(context, record);
    await rm(paths.dir, { recursive: true, force: true });
    if (anonymousVolumes) {
      const names = record.volumes.filter((use) => use.anonymous).map((use) => use.name);
      await removeUnusedVolumes(context, names, id);
    }
  } catch (error) {
    store.update(id, { status: "dead", error: messageOf(error) });
    throw toGantryError(error, `remove container ${id}`);
  }
  store.delete(id);
  images.endLease(leaseOf(id));
}

/** Removes volumes that no other container than `containerId` uses. One that cannot be removed stays and is logged. */
export async function removeUnusedVolumes(
  { volumes, store, logger }: EngineContext,
  names: readonly string[],
  containerId: string,
): Promise<void> {
  for (const name of names) {
    const shared = store
      .list()
      .some((other) => other.record.id !== containerId && usesVolume(other.record, name));
    if (shared) continue;
    try {
      await volumes.remove(name, { force: true });
    } catch (error) {
      // The container goes all the same: the volume is listed, and `volume prune` tries again.
      logger.warn("volume.remove-failed", {
        volume: name,
        container: containerId,
        error: messageOf(error),
      });
    }
  }
}

function usesVolume(record: ContainerRecord, name: string): boolean {
  return record.volumes.some((use) => use.name === name);
}
