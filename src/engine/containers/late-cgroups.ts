/** cgroups that a container got by `update`, of which its monitor does not know. */
import { messageOf } from "../../lib/index.ts";
import { removeCgroup } from "../../runtime/index.ts";
import type { ContainerRecord } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { cgroupPath } from "../paths.ts";

/** At its end: where it never had such limits there is nothing to look for. */
export async function removeLateCgroups(context: EngineContext, record: ContainerRecord): Promise<void> {
  const { cgroups, paths, logger } = context;
  const { CpusetCpus, CpusetMems, BlkioWeight } = record.host;
  if (cgroups.kind === "v2" || (CpusetCpus === "" && CpusetMems === "" && BlkioWeight === 0)) return;
  try {
    await removeCgroup(cgroups, cgroupPath(paths, record));
  } catch (error) {
    // As after a crash: the next start of the engine tries again.
    logger.warn("cgroup.leftover", { id: record.id, error: messageOf(error) });
  }
}
