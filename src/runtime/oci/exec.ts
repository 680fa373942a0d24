/** `gantry-oci exec`. */
import { GantryError } from "../../lib/index.ts";
import { planExec } from "../plan-exec.ts";
import { cgroupsPathOf } from "./container-cgroups.ts";
import { ContainerDir } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { execCgroupDirs, roomForProcess } from "./exec-cgroups.ts";
import { execProcess } from "./exec-process.ts";
import { expectWords } from "./flags.ts";
import { followToEnd, SignalForwarder } from "./follow.ts";
import { hostCgroupIo, hostCgroups } from "./host-cgroups.ts";
import { signalProcess } from "./kill.ts";
import { launchRun } from "./launch.ts";
import { debug, warn } from "./log.ts";
import { hookState, shownState } from "./oci-state.ts";
import { passedFds } from "./passed-fds.ts";
import { resolvePath } from "./paths.ts";
import { rootlessInput } from "./rootless.ts";
import { sendPidfd } from "./pidfd-socket.ts";
import { relay } from "./relay.ts";
import { SIGKILL } from "./signals.ts";
import { terminalOptions } from "./terminal-options.ts";

export function exec({ global, flags }: VerbInput): number {
  const [id = "", ...command] = expectWords("exec", flags, 1, Number.POSITIVE_INFINITY);
  const passed = passedFds(flags);
  const dir = new ContainerDir(global.root, id);
  const stored = dir.read();
  const shown = shownState(dir, stored);
  const { status } = shown;
  if (status === "stopped" || status === "creating" || stored.process === undefined)
    throw new GantryError("conflict", "cannot exec in a stopped container");
  if (status === "paused" && !flags.is("ignore-paused"))
    throw new GantryError("conflict", "cannot exec in a paused container (use --ignore-paused to override)");
  const process = execProcess(stored.config, command, flags, passed.env);
  const detach = flags.is("detach");
  const terminal = terminalOptions({ ...stored.config, process }, flags, detach);
  const pidFile = flags.text("pid-file") ?? "";
  const cgroups = hostCgroups();
  const { plan, warnings, notes } = planExec({
    process,
    target: stored.process,
    containerConfig: stored.config,
    cgroups,
    cgroupDirs: roomForProcess(
      hostCgroupIo,
      cgroups,
      execCgroupDirs(hostCgroupIo, cgroups, cgroupsPathOf(stored), flags.list("cgroup")),
      stored.process.pid,
    ),
    ...(pidFile === "" ? {} : { pidFile: resolvePath(pidFile) }),
    ...rootlessInput(),
    newKeyring: stored.newKeyring !== false,
    state: { ...hookState(shown), status: "running" },
  });
  for (const words of warnings) warn(words);
  for (const words of notes) debug(() => words);
  if (!detach && !flags.is("no-subreaper")) host.becomeSubreaper();
  const signals = detach ? undefined : new SignalForwarder();
  const running = launchRun({
    plan,
    options: { ...terminal.options, ...(detach ? { detach: true } : {}) },
    preserveFds: passed.count,
    ...terminal.passed(),
  });
  terminal.closePassed();
  debug(() => `container ${id}: further process ${running.started.pid}`);
  try {
    sendPidfd(flags.text("pidfd-socket"), running.started.pid);
    if (signals === undefined) return 0;
    const { console } = terminal.kept();
    return console === undefined ? followToEnd(running, signals) : relay(running, console, signals);
  } catch (error) {
    // Nobody would hear of its end.
    signalProcess(running.started, SIGKILL);
    throw error;
  }
}
