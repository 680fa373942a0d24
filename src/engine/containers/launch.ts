/** One start of a container: everything it needs is looked up and made, then its monitor gets the plan. */
import { mkdirSync, rmSync } from "node:fs";
import { shortId } from "../../lib/index.ts";
import type { AttachStreams, Launched, MonitorOptions } from "../../runtime/index.ts";
import type { ContainerRecord, ContainerState, HostConfig } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { refuseDrivers } from "../host-devices.ts";
import { logSettings } from "../log-settings.ts";
import { type ContainerPaths, containerPaths } from "../paths.ts";
import { attachNetwork } from "./attach-network.ts";
import { configOf, containerPlan } from "./container-plan.ts";
import { writeBundle } from "./foreign.ts";
import { imageOf } from "./image-of.ts";
import { writeNetworkFiles } from "./network-files.ts";
import { joinedPaths } from "./joined-container.ts";
import { prepareMounts } from "./prepare-mounts.ts";
import { prepareSharedMemory } from "./shared-memory.ts";
import { userNamespaceOf } from "./user-namespace.ts";

export interface LaunchOptions {
  /** Streams of a session that exists from the first byte. */
  readonly attach?: AttachStreams | undefined;
  /** Of the terminal; 0 leaves the kernel's default. */
  readonly rows: number;
  readonly cols: number;
}

/**
 * Starts the container's program. The state says `launching` before anything is spawned: after a crash the monitor's status file
 * tells how it went. On failure the caller releases the network and records the error.
 * @param change goes into the state with `launching`
 * @param attach one session each, in this order
 */
export async function launchContainer(
  context: EngineContext,
  record: ContainerRecord,
  change: Pick<ContainerState, "restartCount" | "stoppedByUser">,
  attach: readonly AttachStreams[],
  options: LaunchOptions,
): Promise<Launched> {
  const paths = containerPaths(context.paths, record.id);
  makeDirs(paths);
  const userNamespace = userNamespaceOf(context, record);
  // What is read there after a crash was written by this start.
  rmSync(paths.status, { force: true });
  context.store.update(record.id, {
    launching: true,
    exitCode: 0,
    error: "",
    oomKilled: false,
    lostLogLines: 0,
    idMaps: userNamespace?.maps ?? null,
    ...change,
  });
  rmSync(paths.monitorSocket, { force: true });
  const image = imageOf(context, record);
  refuseDrivers(record.host);
  const joins = joinedPaths(context, record);
  const mounts = await prepareMounts(context, record, image, userNamespace?.maps);
  const sharedMemory = prepareSharedMemory(context, record);
  const parts = { record, image, mounts, joins, sharedMemory, userNamespace };
  const attachment = await attachNetwork(context, record);
  try {
    writeNetworkFiles(context, record, paths, attachment?.endpoint);
    if (context.runtimes.programOf(record.host.Runtime ?? "") !== undefined)
      writeBundle(context, record, configOf(context, parts));
    const { plan, oomPath } = containerPlan(context, { ...parts, network: attachment?.steps });
    return await context.runtime.launch({
      plan,
      options: monitorOptions(record, paths, oomPath, options),
      attach,
      holdFds: attachment?.holdFds ?? [],
    });
  } finally {
    // The monitor has copies of its own.
    for (const fd of attachment?.holdFds ?? []) context.sys.close(fd);
  }
}

function makeDirs({ upper, work }: ContainerPaths): void {
  // 0755 is the container's root directory as its users see it.
  mkdirSync(upper, { recursive: true, mode: 0o755 });
  mkdirSync(work, { recursive: true, mode: 0o711 });
}

function monitorOptions(
  record: ContainerRecord,
  paths: ContainerPaths,
  oomPath: string | undefined,
  { rows, cols }: LaunchOptions,
): MonitorOptions {
  const { config, host } = record;
  const log = logSettings(host.LogConfig);
  return {
    socketPath: paths.monitorSocket,
    statusPath: paths.status,
    ...(log === undefined ? {} : { log: { path: paths.log, ...log } }),
    ...(config.Tty ? { terminal: terminalOf(host.ConsoleSize, rows, cols) } : {}),
    ...(config.OpenStdin ? { stdin: { once: config.StdinOnce } } : {}),
    ...(oomPath === undefined ? {} : { oomPath }),
    processTitle: `gantry-init: monitor ${shortId(record.id)}`,
  };
}

/** What the starting client says; else what was said at creation. */
function terminalOf(
  [defaultRows, defaultCols]: HostConfig["ConsoleSize"],
  rows: number,
  cols: number,
): { readonly rows: number; readonly cols: number } {
  return rows > 0 && cols > 0 ? { rows, cols } : { rows: defaultRows, cols: defaultCols };
}
