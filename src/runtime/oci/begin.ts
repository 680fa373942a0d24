/** What create and run have in common: a state directory, a plan, a process. */
import { refuseOccupied } from "../cgroup-occupied.ts";
import { planContainer } from "../plan-container.ts";
import type { MonitorOptions, Plan } from "../plan-step.ts";
import { type Bundle, readBundle } from "./bundle.ts";
import { freezerFile, removeCgroups } from "./cleanup.ts";
import { bootId, ContainerDir, type StoredState } from "./container-dir.ts";
import { specVersion, type VerbInput } from "./context.ts";
import { endContainer } from "./delete.ts";
import { expectWords } from "./flags.ts";
import { hostCgroupIo, hostCgroups, tryReadText } from "./host-cgroups.ts";
import { launchRun, LostError, type Running } from "./launch.ts";
import { debug, warn } from "./log.ts";
import { NotifySocket } from "./notify-socket.ts";
import { rightsInput, rootlessInput } from "./rootless.ts";
import { sendPidfd } from "./pidfd-socket.ts";
import { passedFds, withEnv } from "./passed-fds.ts";
import { resolvePath } from "./paths.ts";
import { type Placeholder, systemdScopes } from "./systemd.ts";
import { type ConsoleSocket, terminalOptions } from "./terminal-options.ts";

export interface Beginning {
  readonly dir: ContainerDir;
  readonly bundle: Bundle;
  readonly plan: Plan;
  readonly stored: StoredState;
  readonly running: Running;
  /** Ours, when the container has a terminal and we stay. */
  readonly console?: ConsoleSocket;
  readonly notify?: NotifySocket;
}

export interface BeginOptions {
  /** The caller ends before the container does. */
  readonly detach: boolean;
  /** The program waits for `start`. */
  readonly waits: boolean;
  /** What is left at its end is for `delete` to remove. */
  readonly keeps?: boolean;
}

/**
 * Makes the state directory, starts the process, and lets `work` go on, all under the container's lock. What was made is
 * removed again when that fails.
 */
export function begin<T>(
  verb: string,
  { global, flags }: VerbInput,
  how: BeginOptions,
  work: (beginning: Beginning) => T,
): T {
  const [id = ""] = expectWords(verb, flags, 1);
  const dir = new ContainerDir(global.root, id);
  const passed = passedFds(flags);
  const read = readBundle(flags.text("bundle"), id, global.systemdCgroup);
  const notify = NotifySocket.fromEnvironment(dir.path);
  const placed = global.systemdCgroup ? systemdScopes().placeInSystemd(read.config, id) : undefined;
  const config = withEnv(placed?.config ?? read.config, passed.env);
  const bundle = { ...read, config: notify?.configure(config) ?? config };
  const terminal = terminalOptions(bundle.config, flags, how.detach);
  const pidFile = flags.text("pid-file") ?? "";
  const cgroups = hostCgroups();
  const { plan, oomPath, warnings, notes } = planContainer({
    config: bundle.config,
    cgroups,
    hooks: { id, bundle: bundle.path, rootfs: bundle.rootfs, env: host.env },
    newKeyring: !flags.is("no-new-keyring"),
    noPivot: flags.is("no-pivot"),
    readText: tryReadText,
    systemdCgroup: global.systemdCgroup,
    ...rootlessInput(),
    ...rightsInput(cgroups, bundle.config.linux?.cgroupsPath ?? "", global.rootless),
    ...(how.waits ? { startFifo: dir.fifo } : {}),
    ...(pidFile === "" ? {} : { pidFile: resolvePath(pidFile) }),
  });
  for (const words of warnings) warn(words);
  for (const words of notes) debug(() => words);
  const stored = firstState(id, bundle, {
    freezer: freezerFile(cgroups, bundle.config.linux?.cgroupsPath ?? ""),
    systemdCgroup: global.systemdCgroup,
    newKeyring: !flags.is("no-new-keyring"),
  });
  const options: MonitorOptions = {
    ...terminal.options,
    statusPath: dir.processFile,
    ...(how.detach ? { detach: true } : {}),
    ...(oomPath === undefined ? {} : { oomPath }),
  };
  debug(() => `plan of container ${id}: ${plan.monitor.length + plan.container.length} steps`);
  dir.make();
  return dir.locked(() => {
    let process: StoredState["process"];
    let holder: Placeholder | undefined;
    try {
      refuseOccupied(hostCgroupIo, cgroups, bundle.config.linux?.cgroupsPath ?? "");
      dir.write(stored);
      notify?.prepare();
      if (how.waits) host.mkfifo(dir.fifo, 0o600);
      else notify?.bind();
      if (placed !== undefined) holder = systemdScopes().startScope(bundle.config, id, placed.scope, cgroups);
      const running = launchRun({
        plan: how.keeps === true ? keeping(plan) : plan,
        options,
        preserveFds: passed.count,
        ...terminal.passed(),
      });
      const { pid, startTime } = running.started;
      process = { pid, startTime };
      debug(() => `container ${id}: process ${pid}`);
      sendPidfd(flags.text("pidfd-socket"), pid);
      return work({
        dir,
        bundle,
        plan,
        stored: { ...stored, process },
        running,
        ...terminal.kept(),
        ...(notify === undefined ? {} : { notify }),
      });
    } catch (error) {
      if (process !== undefined) endContainer({ ...stored, process });
      else if (error instanceof LostError || holder !== undefined) removeCgroups(stored);
      dir.remove();
      throw error;
    } finally {
      holder?.end();
      terminal.closePassed();
    }
  });
}

/** `delete` removes the cgroups; without a failure nobody looks at them before. */
function keeping(plan: Plan): Plan {
  return { ...plan, teardown: plan.teardown.filter((step) => step.do !== "remove-cgroup") };
}

/** How it was made, as far as later commands must know. */
export interface Kept {
  readonly freezer: string | undefined;
  readonly systemdCgroup: boolean;
  readonly newKeyring?: boolean;
}

export function firstState(
  id: string,
  { path, rootfs, config }: Bundle,
  { freezer, systemdCgroup, newKeyring }: Kept,
): StoredState {
  return {
    id,
    // Of the state, not of the config (runtime.md, "State").
    ociVersion: specVersion,
    bundle: path,
    rootfs,
    created: new Date(host.now()).toISOString(),
    ...(config.annotations === undefined ? {} : { annotations: config.annotations }),
    bootId: bootId(),
    ...(freezer === undefined ? {} : { freezer }),
    ...(systemdCgroup ? { systemdCgroup } : {}),
    ...(newKeyring === false ? { newKeyring } : {}),
    config,
  };
}
