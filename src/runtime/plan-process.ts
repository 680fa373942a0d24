/** The last steps of a child, from resource limits to execve: for a container and for an exec alike. Pure. */
import { GantryError } from "../lib/index.ts";
import { capabilityMasks } from "./capability-masks.ts";
import { cleanEnvironment, lacksHome } from "./environment.ts";
import type { OciConfig, OciLinux, OciProcess, OciRlimit } from "./oci-types.ts";
import type { Because } from "./plan-input.ts";
import { type ListenerState, seccompSteps } from "./plan-seccomp.ts";
import type { ContainerStep, MonitorStep } from "./plan-step.ts";
import { settingSteps } from "./process-settings.ts";
import { rlimitNames, unlimited } from "./step-phrase.ts";

export interface ProcessInput {
  readonly process: OciProcess;
  /** The container's: filter, memory policy and execution domain are for all of its processes. */
  readonly linux?: OciLinux;
  /** For who listens to the filter's questions. */
  readonly state?: ListenerState;
  readonly useInit: boolean;
  /** Make the working directory where it is missing. */
  readonly makeCwd: boolean;
  readonly startFifo?: string;
  readonly because: Because;
}

/**
 * The order is a matter of security. The bounding set shrinks while capabilities are still held. Without no_new_privs a
 * filter can only be loaded before they are given up; with it the filter is the last thing but the exec, so that it need
 * not allow what stands before. The working directory is entered before the user changes, as docker does: a directory that
 * only root may enter can be the working directory of another user.
 */
export function planProcess(input: ProcessInput): readonly ContainerStep[] {
  const { process, because } = input;
  const user = process.user ?? { uid: 0, gid: 0 };
  const noNewPrivs = process.noNewPrivileges === true;
  const sets = capabilityMasks(process.capabilities);
  const capabilities = because("the default capabilities", "process.capabilities");
  const seccomp = seccompSteps(input.linux?.seccomp, input.state, because);
  const steps: ContainerStep[] = (process.rlimits ?? []).map((limit) => rlimitStep(limit, because));
  steps.push(...settingSteps(process, input.linux, because));
  steps.push({ do: "capabilities", sets, phase: "bound", because: capabilities });
  steps.push({
    do: "chdir",
    path: process.cwd,
    make: input.makeCwd,
    because: because("the image's working directory", "process.cwd"),
  });
  const env = cleanEnvironment(process.env ?? []);
  if (lacksHome(env))
    steps.push({ do: "home", uid: user.uid, because: "the default: HOME is set in every process" });
  if (noNewPrivs)
    steps.push({
      do: "no-new-privs",
      because: because("process.noNewPrivileges of the config", "process.noNewPrivileges"),
    });
  else steps.push(...seccomp);
  steps.push({
    do: "ids",
    uid: user.uid,
    gid: user.gid,
    groups: user.additionalGids ?? [],
    ...(user.umask === undefined ? {} : { umask: user.umask }),
    because: because("the image's user", "process.user"),
  });
  steps.push({ do: "capabilities", sets, phase: "set", because: capabilities });
  if (noNewPrivs) steps.push(...seccomp);
  if (input.startFifo !== undefined)
    steps.push({ do: "wait-start", fifo: input.startFifo, because: "the command create" });
  steps.push({
    do: "exec",
    argv: process.args ?? [],
    env,
    useInit: input.useInit,
    because: because("the image's command", "process.args"),
  });
  return steps;
}

/**
 * In a user namespace no hard limit can be raised: the monitor does it, and the child sets the exact values as ever.
 */
export function raisedLimits(
  config: OciConfig,
  process: OciProcess | undefined,
  because: Because,
): readonly MonitorStep[] {
  if (config.linux?.namespaces?.some(({ type }) => type === "user") !== true) return [];
  return (process?.rlimits ?? []).map((limit) => {
    const { resource, hard, because: words } = rlimitStep(limit, because);
    return { do: "child-rlimit", resource, hard, because: words ?? "" };
  });
}

type RlimitStep = ContainerStep & { readonly do: "rlimit" };

function rlimitStep(limit: OciRlimit, because: Because): RlimitStep {
  const resource = rlimitNames.indexOf(limit.type);
  if (resource < 0)
    throw new GantryError("invalid", `process.rlimits: there is no resource ${JSON.stringify(limit.type)}`, {
      hint: "names are those of setrlimit(2), such as RLIMIT_NOFILE",
    });
  const words = because("the config's rlimits", `process.rlimits.${limit.type}`, "process.rlimits");
  return {
    do: "rlimit",
    resource,
    soft: rlimitValue(limit.soft),
    hard: rlimitValue(limit.hard),
    because: words,
  };
}

/** -1, and what JSON cannot hold exactly (2^64 - 1), is no limit. */
function rlimitValue(value: number): bigint {
  return value < 0 || value >= 2 ** 63 ? unlimited : BigInt(Math.trunc(value));
}
