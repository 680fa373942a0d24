/** The plan of a container, or of an exec, that another OCI runtime (runc, crun, …) makes for us. Pure. */
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
  const { runtime, overlay, terminal, network } = input;
  const because = "--runtime";
  const socket = consoleSocket(runtime.bundle);
  const monitor: MonitorStep[] = [
    { do: "become-parent", because },
    { do: "private-mounts", because },
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
}

/** A further process in a container of another runtime. */
export function planForeignExec({ runtime, processFile, terminal }: ForeignExecInput): Plan {
  const because = "--runtime";
  const pid = `${processFile}.pid`;
  const socket = `${processFile}.sock`;
  const monitor: MonitorStep[] = [{ do: "become-parent", because }];
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

export function pidFile(bundle: string): string {
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
    argv: [
      runtime.program,
      "--root",
      runtime.root,
      "--log",
      logPath,
      "--log-format",
      "json",
      ...words,
    ],
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

/**
 * The sentence that the runtime logged last, out of the end of its log: JSON lines `{"level":"error","msg":"…"}`.
 * Pure; undefined when there is none.
 */
export function lastLoggedError(tail: string): string | undefined {
  const found = [...tail.matchAll(/"msg":"((?:[^"\\]|\\.)*)/g)].pop()?.[1];
  if (found === undefined) return undefined;
  return found.replace(/\\(["\\/])/g, "$1").replace(/\\n/g, " ").replace(/\\$/, "");
}
