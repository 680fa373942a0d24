/** What is asked for as it is recorded, and what this machine cannot give. */
import { GantryError } from "../../lib/index.ts";
import type { HostConfig } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { checkAvailable } from "../cpuset.ts";
import { fitLimits } from "../limit-abilities.ts";
import { securityOptions } from "../oci-security.ts";
import { withJoinedId } from "./joined-container.ts";
import { checkUserNamespace } from "./user-namespace.ts";

/**
 * Limits as this machine keeps them, other containers by their ids.
 * @throws {GantryError} "invalid", worded as dockerd does, for processors that are not there
 */
export function fitHost(
  context: EngineContext,
  host: HostConfig,
): { readonly host: HostConfig; readonly warnings: readonly string[] } {
  const { abilities, appArmor } = context.host;
  checkUserNamespace(context.defaults.idMaps, host);
  if ((host.CpuRealtimePeriod !== 0 || host.CpuRealtimeRuntime !== 0) && !abilities.realtime)
    throw new GantryError("invalid", "kernel does not support CPU real-time scheduler");
  if (Object.keys(host.StorageOpt).length > 0)
    throw new GantryError(
      "unsupported",
      "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
      { hint: "a tmpfs (--tmpfs /path:size=100m) has a limit that holds" },
    );
  checkAvailable(host.CpusetCpus, abilities.cpus, "CPUs");
  checkAvailable(host.CpusetMems, abilities.mems, "memory nodes");
  const { change, warnings } = fitLimits(host, abilities);
  const profile = securityOptions(host.SecurityOpt).appArmor;
  const isLost = !["", "unconfined"].includes(profile) && !appArmor;
  return {
    host: {
      ...host,
      ...change,
      PidMode: withJoinedId(context, host.PidMode),
      IpcMode: withJoinedId(context, host.IpcMode),
      NetworkMode: withJoinedId(context, host.NetworkMode),
      CgroupnsMode: host.CgroupnsMode || (context.cgroups.kind === "v2" ? "private" : "host"),
    },
    warnings: isLost
      ? [...warnings, `AppArmor is not enabled on this machine: the profile ${profile} is not applied.`]
      : warnings,
  };
}
