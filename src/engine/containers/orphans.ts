/** What belongs to no container any more: directories, cgroups with their processes, sockets of monitors. */
import { readdirSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { isErrno, messageOf } from "../../lib/index.ts";
import { removeCgroup } from "../../runtime/index.ts";
import { isAlive } from "../container.ts";
import { hierarchies } from "../cgroup-parent.ts";
import type { EngineContext } from "../context.ts";
import { cgroupParent, containerPaths } from "../paths.ts";

/** Also ends what a build of an earlier engine left running: it has a cgroup and no record. */
export async function clearOrphans(context: EngineContext): Promise<void> {
  const { store, paths, cgroups, logger } = context;
  const alive = new Set(
    store
      .list()
      .filter(({ state }) => isAlive(state.status))
      .map(({ record }) => record.id),
  );
  for (const id of cgroupChildren(context)) {
    if (alive.has(id)) continue;
    try {
      await removeCgroup(cgroups, join(cgroupParent(paths), id));
      logger.info("cgroup.cleared", { id });
    } catch (error) {
      logger.warn("cgroup.leftover", { id, error: messageOf(error) });
    }
  }
  const live = new Set(
    [...alive].flatMap((id) => {
      const { monitorSocket, bundle } = containerPaths(paths, id);
      return [monitorSocket, bundle];
    }),
  );
  for (const name of names(join(paths.state, "m"))) {
    const path = join(paths.state, "m", name);
    if (!live.has(path)) rmSync(path, { recursive: true, force: true });
  }
  for (const name of names(join(paths.root, "containers"))) {
    if (!store.has(name)) clearDirectory(context, join(paths.root, "containers", name));
  }
}

/** Large trees take their time: the engine is ready before. */
function clearDirectory({ logger }: EngineContext, path: string): void {
  rm(path, { recursive: true, force: true }).then(
    () => logger.info("directory.cleared", { path }),
    (error: unknown) => logger.warn("directory.leftover", { path, error: messageOf(error) }),
  );
}

/** The names of the cgroups below ours, in whichever hierarchy. */
function cgroupChildren({ cgroups, paths }: EngineContext): ReadonlySet<string> {
  return new Set(
    hierarchies(cgroups)
      .flatMap((mount) => names(join(mount, cgroupParent(paths)), "directories"))
      .filter((name) => /^[0-9a-f]{64}$/.test(name)),
  );
}

function names(dir: string, only?: "directories"): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => only === undefined || entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}
