/** The process of an exec: the container's own settings, changed by what was asked for, as a plan for a monitor of its own. */
import { shortId } from "../../lib/index.ts";
import {
  type AttachSession,
  capabilityNames,
  existingCgroupDirs,
  type MonitorConnection,
  type OciConfig,
  type OciProcess,
  planExec,
  type Started,
} from "../../runtime/index.ts";
import { configOf } from "../containers/container-plan.ts";
import { foreignExec } from "../containers/foreign.ts";
import { imageOf } from "../containers/image-of.ts";
import { mergeEnv } from "../containers/merge-config.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import { containerPaths } from "../paths.ts";
import type { ResolvedUser } from "../users/resolve-user.ts";
import type { ExecConfig, ExecStart } from "./exec.ts";
import { execFailure } from "./exec-error.ts";

export interface ExecProcess {
  readonly started: Started;
  readonly control: MonitorConnection;
  readonly session: AttachSession | undefined;
}

/** @throws {GantryError} "conflict" when the container does not run; why it could not be started, worded as docker does */
export async function startExecProcess(
  context: EngineContext,
  { record, state }: StoredContainer,
  config: ExecConfig,
  { attach, rows, cols }: ExecStart,
): Promise<ExecProcess> {
  const image = imageOf(context, record);
  // Mounts are the container's: the process enters what is there.
  const containerConfig = configOf(context, {
    record,
    image,
    mounts: [],
    userNamespace: state.idMaps === null ? undefined : { maps: state.idMaps },
  });
  const user =
    config.user === ""
      ? undefined
      : context.users.resolve({
          imageId: image.id,
          lowers: image.lowers,
          upper: containerPaths(context.paths, record.id).upper,
          spec: config.user,
          groupAdd: record.host.GroupAdd,
        });
  const process = execProcess(containerConfig, config, user);
  const program = context.runtimes.programOf(record.host.Runtime ?? "");
  const plan =
    program === undefined
      ? planExec({
          process,
          target: { pid: state.pid, startTime: state.startTime },
          containerConfig: config.privileged ? withoutSeccomp(containerConfig) : containerConfig,
          cgroups: context.cgroups,
          cgroupDirs: existingCgroupDirs(context.cgroups, containerConfig.linux?.cgroupsPath ?? ""),
        }).plan
      : foreignExec(context, record, program, process);
  try {
    const launched = await context.runtime.launch({
      plan,
      options: {
        processTitle: `gantry-init: exec ${shortId(record.id)}`,
        ...(config.tty ? { terminal: terminalOf(config, rows, cols) } : {}),
        ...(config.attachStdin ? { stdin: { once: true } } : {}),
      },
      attach: attach === undefined ? [] : [attach],
    });
    return { started: launched.started, control: launched.control, session: launched.attached[0] };
  } catch (error) {
    throw execFailure(error);
  }
}

/** The size that the start tells, else the one of the creation. */
function terminalOf(
  { consoleSize: [defaultRows, defaultCols] = [0, 0] }: ExecConfig,
  rows: number,
  cols: number,
): { readonly rows: number; readonly cols: number } {
  return rows > 0 && cols > 0 ? { rows, cols } : { rows: defaultRows, cols: defaultCols };
}

function withoutSeccomp(config: OciConfig): OciConfig {
  const { seccomp: _, ...linux } = config.linux ?? {};
  return { ...config, linux };
}

/** Pure. @param user undefined: the container's */
export function execProcess(
  container: OciConfig,
  config: ExecConfig,
  user: ResolvedUser | undefined,
): OciProcess {
  const base: Partial<OciProcess> = container.process ?? {};
  const home = user === undefined ? [] : [`HOME=${user.home}`];
  const term = config.tty ? ["TERM=xterm"] : [];
  return {
    ...base,
    terminal: config.tty,
    args: config.cmd,
    cwd: config.workingDir || base.cwd || "/",
    env: mergeEnv([...term, ...(base.env ?? []), ...home], config.env),
    ...(user === undefined ? {} : { user: { uid: user.uid, gid: user.gid, additionalGids: user.groups } }),
    ...(config.privileged
      ? {
          capabilities: { bounding: capabilityNames, effective: capabilityNames, permitted: capabilityNames },
        }
      : {}),
  };
}
