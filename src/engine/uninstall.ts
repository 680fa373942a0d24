/** Taking everything that an engine made off the machine. */
import { readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "../lib/index.ts";
import type { Engine } from "./engine.ts";
import type { EnginePaths } from "./paths.ts";

/** Ends and removes all containers, then the networks with their bridges and rules. Images and volumes are files of the root. */
export async function uninstallEngine({
  containers,
  networks,
}: Pick<Engine, "containers" | "networks">): Promise<void> {
  for (const { record } of containers.list())
    await containers.remove(record.id, { force: true, volumes: true });
  await networks.deleteAll();
}

/** Removes the directories of an engine that was closed, down to the directories themselves where nothing else is in them. */
export function removeDirectories({ root, state }: EnginePaths): void {
  for (const dir of [state, root]) {
    for (const name of namesIn(dir)) rmSync(join(dir, name), { recursive: true, force: true });
    removeEmpty(dir);
  }
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    // ENOENT: gone already.
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

function removeEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch (error) {
    // ENOENT: gone already. ENOTEMPTY: somebody made a file in it meanwhile. EBUSY: it is a mount point.
    if (!isErrno(error, "ENOENT", "ENOTEMPTY", "EBUSY")) throw error;
  }
}
