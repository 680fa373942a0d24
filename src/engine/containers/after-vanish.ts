/** A monitor that went without a word was killed: what it left is cleared away, and its container has ended. */
import { rmSync } from "node:fs";
import { GantryError, messageOf } from "../../lib/index.ts";
import { type Exited, readStatusFile, removeCgroup, type StatusFile } from "../../runtime/index.ts";
import type { EngineContext } from "../context.ts";
import { clearForeign } from "./foreign.ts";
import { cgroupPath, containerPaths } from "../paths.ts";

/** Docker's exit code of a container that nobody can tell the end of. */
const unknownExitCode = 255;

/** The exit as the monitor wrote it down, or the one of a container whose monitor vanished. Leaves no process of it. */
export async function afterVanish(context: EngineContext, id: string): Promise<Exited> {
  const paths = containerPaths(context.paths, id);
  const status = tryReadStatus(context, paths.status);
  await clearLeftovers(context, id);
  if (status?.state === "exited") return status.exited;
  context.logger.warn("monitor.vanished", { id });
  return { exitCode: unknownExitCode, signal: 0, oomKilled: false, atMs: Date.now(), lostLogLines: 0 };
}

/** A status file that is none counts as missing. */
export function tryReadStatus(
  { logger }: Pick<EngineContext, "logger">,
  path: string,
): StatusFile | undefined {
  try {
    return readStatusFile(path);
  } catch (error) {
    if (!(error instanceof GantryError) || error.code !== "corrupt") throw error;
    logger.warn("status.corrupt", { path, error: messageOf(error) });
    return undefined;
  }
}

/** Kills what is left in its cgroup and removes the cgroup and the monitor's socket. */
export async function clearLeftovers(context: EngineContext, id: string): Promise<void> {
  const { record } = context.store.get(id);
  try {
    await removeCgroup(context.cgroups, cgroupPath(context.paths, record));
  } catch (error) {
    // A process that hangs in the kernel keeps its cgroup: the next start of the engine tries again.
    context.logger.warn("cgroup.leftover", { id, error: messageOf(error) });
  }
  rmSync(containerPaths(context.paths, id).monitorSocket, { force: true });
  clearForeign(context, id);
}
