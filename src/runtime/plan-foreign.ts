/** The plan of a container, or of an exec, that another OCI runtime (runc, crun, …) makes for us. Pure. */
import type { CgroupLayout } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import type { ExtraSteps, OverlayRoot } from "./plan-input.ts";
import type { MonitorStep, Plan } from "./plan-step.ts";

/** An OCI runtime with runc's command line, and where it and we keep what belongs to one container. */
export interface ForeignRuntime {
  /** Absolute path of the program. */
  readonly program: string;
  /** Its --root. */
  readonly root: string;
  readonly id: string;
  /** Holds config.json when the plan runs; pid file, log and console socket are made there. */
  readonly bundle: string;
  /** Of the commands, "KEY=VALUE". */
  readonly env: readonly string[];
}

export interface ForeignPlanInput {
  readonly runtime: ForeignRuntime;
  readonly overlay: OverlayRoot;
  readonly terminal: boolean;
  readonly cgroups: CgroupLayout;
  readonly network?: ExtraSteps;
}

/** Each command of the runtime is killed after this long. */
const commandSeconds = 30;

/**
 * The overlay is mounted in the monitor's own mount namespace, where the runtime finds it; `create` leaves a process that
 * waits; the network is put into its namespaces; `start` lets it run.
 * @throws {GantryError} "internal" for a network step that cannot be done from outside
 */
export function planForeignContainer(input: ForeignPlanInput): Plan {
  const { runtime, overlay, terminal, network, cgroups } = input;
  const because = "--runtime";
  const socket = consoleSocket(runtime.bundle);
  const monitor: MonitorStep[] = [
    { do: "become-parent", because },
    privateMounts(cgroups),
    { do: "overlay", ...overlay, because: "the image's layers and the container's own on top" },
  ];
  if (terminal) monitor.push({ do: "console-listen", path: socket, because: "--tty" });
  monitor.push(
    command(
      runtime,
      [
        "create",
        "--bundle",
        runtime.bundle,
        "--pid-file",
        pidFile(runtime.bundle),
        ...(terminal ? ["--console-socket", socket] : []),
        runtime.id,
      ],
      { stdio: !terminal },
    ),
    { do: "adopt", pidFile: pidFile(runtime.bundle), because },
    ...(network?.monitor ?? []),
    ...(network?.container ?? []).map(fromOutside),
    command(runtime, ["start", runtime.id], { stdio: false }),
  );
  return {
    monitor,
    container: [],
    teardown: [
      { ...command(runtime, ["delete", "--force", runtime.id], { stdio: false }), optional: true },
      ...(network?.teardown ?? []),
    ],
  };
}

export interface ForeignExecInput {
  readonly runtime: ForeignRuntime;
  /** A file with the OCI process as JSON; its directory takes the pid file and the console socket. Removed at the end. */
  readonly processFile: string;
  readonly terminal: boolean;
  readonly cgroups: CgroupLayout;
}

/** A further process in a container of another runtime. */
export function planForeignExec({ runtime, processFile, terminal, cgroups }: ForeignExecInput): Plan {
  const because = "--runtime";
  const pid = `${processFile}.pid`;
  const socket = `${processFile}.sock`;
  const monitor: MonitorStep[] = [{ do: "become-parent", because }, privateMounts(cgroups)];
  if (terminal) monitor.push({ do: "console-listen", path: socket, because: "--tty" });
  monitor.push(
    command(
      runtime,
      [
        "exec",
        "--detach",
        "--process",
        processFile,
        "--pid-file",
        pid,
        ...(terminal ? ["--console-socket", socket] : []),
        runtime.id,
      ],
      { stdio: !terminal },
    ),
    { do: "adopt", pidFile: pid, because },
  );
  const files = [processFile, pid, ...(terminal ? [socket] : [])];
  return {
    monitor,
    container: [],
    teardown: files.map((path) => ({ do: "remove-file", path, because }) as const),
  };
}

/** crun refuses to run where a v2 hierarchy with controllers stands beside the v1 ones; it works where it does not see it. */
function privateMounts({ kind, unified }: CgroupLayout): MonitorStep {
  const hide = kind === "hybrid" && unified !== undefined ? [unified] : [];
  return { do: "private-mounts", hide, because: "--runtime" };
}

function pidFile(bundle: string): string {
  return `${bundle}/pid`;
}

/** Short: a unix socket's address has 107 bytes, and runc takes no longer one. */
function consoleSocket(bundle: string): string {
  return `${bundle}/tty`;
}

function command(
  runtime: ForeignRuntime,
  words: readonly string[],
  { stdio }: { readonly stdio: boolean },
): MonitorStep & { readonly do: "run-program" } {
  const logPath = `${runtime.bundle}/log.json`;
  return {
    do: "run-program",
    argv: [runtime.program, "--root", runtime.root, "--log", logPath, "--log-format", "json", ...words],
    env: runtime.env,
    seconds: commandSeconds,
    stdio,
    logPath,
    because: "--runtime",
  };
}

/** The same messages, sent by a process that enters the container's network namespace for them. */
function fromOutside(step: ExtraSteps["container"][number]): MonitorStep {
  if (step.do !== "netlink")
    throw new GantryError("internal", `the network step "${step.do}" cannot be done for another runtime`);
  return { ...step, do: "child-netlink" };
}

/** Where the kernel counts the OOM kills of a container whose cgroups its runtime makes. */
export function foreignOomPath(cgroups: CgroupLayout, cgroupsPath: string): string | undefined {
  const memory = cgroups.controllers["memory"];
  if (memory === undefined) return undefined;
  return `${memory}${cgroupsPath}/${memory === cgroups.unified ? "memory.events" : "memory.oom_control"}`;
}
