/** What create and run have in common: a state directory, a plan, a process. */
import { constants } from "node:fs";
import { detectCgroups, loadSys, type Sys } from "../../kernel/index.ts";
import { GantryError } from "../../lib/index.ts";
import type { OciConfig } from "../oci-types.ts";
import { planContainer } from "../plan-container.ts";
import type { MonitorOptions, Plan } from "../plan-step.ts";
import { type Bundle, readBundle } from "./bundle.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import type { VerbInput } from "./context.ts";
import { expectWords, type ParsedFlags } from "./flags.ts";
import { launchRun, type Running } from "./launch.ts";

export interface Beginning {
  readonly sys: Sys;
  readonly dir: ContainerDir;
  readonly bundle: Bundle;
  readonly plan: Plan;
  readonly options: MonitorOptions;
  readonly preserveFds: number;
  readonly stored: StoredState;
}

export interface BeginOptions {
  /** The caller ends before the container does. */
  readonly detach: boolean;
  /** The program waits for `start`. */
  readonly waits: boolean;
}

/**
 * Makes the state directory and lets `work` start the process, under the container's lock. What was made is removed
 * again when that fails.
 */
export async function begin<T>(
  verb: string,
  { global, flags }: VerbInput,
  how: BeginOptions,
  work: (beginning: Beginning) => Promise<T>,
): Promise<T> {
  const [id = ""] = expectWords(verb, flags, 1);
  const dir = new ContainerDir(global.root, id);
  const listen = listenFds();
  const preserveFds = preserveCount(flags) + listen.count;
  const read = readBundle(flags.text("bundle"), id);
  const bundle = { ...read, config: withEnv(read.config, listen.env) };
  const terminal = terminalOptions(bundle.config, flags, how.detach);
  const { plan, oomPath } = planContainer({
    config: bundle.config,
    cgroups: detectCgroups(),
    newKeyring: !flags.is("no-new-keyring"),
    ...(how.waits ? { startFifo: dir.fifo } : {}),
    ...(flags.has("pid-file") ? { pidFile: flags.text("pid-file") ?? "" } : {}),
  });
  const stored: StoredState = {
    id,
    bundle: bundle.path,
    rootfs: bundle.rootfs,
    created: new Date().toISOString(),
    config: bundle.config,
  };
  const options: MonitorOptions = {
    ...terminal,
    ...(how.detach ? { detach: true } : {}),
    ...(oomPath === undefined ? {} : { oomPath }),
  };
  const sys = loadSys();
  dir.make();
  return await dir.locked(sys, async () => {
    try {
      dir.write(stored);
      if (how.waits) sys.mknod(dir.fifo, constants.S_IFIFO | 0o600, 0, 0);
      return await work({ sys, dir, bundle, plan, options, preserveFds, stored });
    } catch (error) {
      dir.remove();
      throw error;
    }
  });
}

/** Starts the process with the caller's stdio and keeps who it is. */
export async function launchAndStore(beginning: Beginning): Promise<Running> {
  const { sys, dir, plan, options, preserveFds, stored } = beginning;
  const running = await launchRun(sys, { plan, options, preserveFds });
  const { pid, startTime } = running.started;
  dir.write({ ...stored, process: { pid, startTime } });
  return running;
}

/** --preserve-fds, as a number. */
export function preserveCount(flags: ParsedFlags): number {
  const count = Number(flags.text("preserve-fds") ?? 0);
  if (!Number.isInteger(count) || count < 0 || count > 1024)
    throw new GantryError(
      "invalid",
      `--preserve-fds: ${JSON.stringify(flags.text("preserve-fds"))} is not a number from 0 to 1024`,
    );
  return count;
}

/** systemd's socket activation: the sockets go on to the container (sd_listen_fds(3)). */
function listenFds(): { readonly count: number; readonly env: readonly string[] } {
  const count = Number(process.env["LISTEN_FDS"] ?? 0);
  if (!Number.isInteger(count) || count <= 0 || count > 1024) return { count: 0, env: [] };
  const names = process.env["LISTEN_FDNAMES"];
  const env = [
    `LISTEN_FDS=${count}`,
    "LISTEN_PID=1",
    ...(names === undefined ? [] : [`LISTEN_FDNAMES=${names}`]),
  ];
  return { count, env };
}

function withEnv(config: OciConfig, env: readonly string[]): OciConfig {
  const { process } = config;
  if (process === undefined || env.length === 0) return config;
  return { ...config, process: { ...process, env: [...(process.env ?? []), ...env] } };
}

/** The rules of runc for a terminal and its socket. */
export function terminalOptions(config: OciConfig, flags: ParsedFlags, detach: boolean): MonitorOptions {
  const socket = flags.text("console-socket") ?? "";
  if (config.process?.terminal !== true) {
    if (socket !== "")
      throw new GantryError("invalid", "cannot use console socket if gantry-oci will not allocate tty");
    return {};
  }
  if (detach && socket === "")
    throw new GantryError(
      "invalid",
      "cannot allocate tty if gantry-oci will detach without setting console socket",
      {
        hint: "give --console-socket, or set process.terminal to false",
      },
    );
  if (!detach && socket !== "")
    throw new GantryError("invalid", "cannot use console socket if gantry-oci will not detach");
  const size = config.process.consoleSize;
  return {
    terminal: { rows: size?.height ?? 0, cols: size?.width ?? 0 },
    ...(socket === "" ? {} : { consoleSocket: socket }),
  };
}
