/** A further process in a running container becomes a plan. Pure. */
import { cgroupMounts } from "./cgroup-dirs.ts";
import { cgroupsPathOf, idOf } from "./cgroup-path.ts";
import type { OciConfig, OciProcess } from "./oci-types.ts";
import { becauseOf, type ExecPlanInput } from "./plan-input.ts";
import { memberFlags } from "./plan-namespaces.ts";
import { capabilityWarnings } from "./capability-masks.ts";
import { labelSteps } from "./plan-labels.ts";
import { planNotes } from "./plan-notes.ts";
import { planProcess, raisedLimits } from "./plan-process.ts";
import { enterJoinedUser, requireMappedUser } from "./plan-user-namespace.ts";
import { affinityStep } from "./process-settings.ts";
import type { ContainerStep, MonitorStep, Plan } from "./plan-step.ts";

/**
 * The child enters the container's cgroups (v2: is born there), then the namespaces of the container's first process
 * (by pidfd and start time, so that a pid used again is not entered) and has the same seccomp filter and limits.
 * @throws {GantryError} "unsupported" or "invalid" naming the field of the process
 */
export function planExec(input: ExecPlanInput): {
  readonly plan: Plan;
  /** What was passed over, in words for the log. */
  readonly warnings: readonly string[];
  /** For the log of --debug. */
  readonly notes: readonly string[];
} {
  const { target, containerConfig, cgroups } = input;
  const inherited = containerConfig.process;
  const process = withInherited(input.process, inherited);
  requireMappedUser(process.user, containerConfig);
  const affinity = process.execCPUAffinity ?? inherited?.execCPUAffinity ?? {};
  const profile = process.apparmorProfile ?? inherited?.apparmorProfile;
  const label = process.selinuxLabel ?? inherited?.selinuxLabel;
  const because = becauseOf({
    "process.args": "the command of exec",
    "process.cwd": "the container's working directory, or --workdir",
    "process.user": "the container's user, or --user",
  });
  const dirs =
    input.cgroupDirs ?? cgroupMounts(cgroups).map((mount) => `${mount}${cgroupsPathOf(containerConfig)}`);
  const unsure = input.cgroupDirs === undefined ? { optional: true } : {};
  // Only root may lower it.
  const unprivileged = input.rootless === undefined ? {} : { optional: true };
  const ofContainer = "exec: the process is the container's";
  const born: MonitorStep = { do: "clone", flags: 0n, because: ofContainer };
  const initial = affinity.initial ?? "";
  const monitor: MonitorStep[] = [
    // Before the cgroup is entered: the child is born with it.
    ...(initial === "" ? [] : [affinityStep(initial, "process.execCPUAffinity.initial")]),
    cgroups.kind === "v2" && dirs[0] !== undefined ? { ...born, intoCgroup: dirs[0] } : born,
  ];
  monitor.push(...raisedLimits(containerConfig, process, because));
  if (input.pidFile !== undefined)
    monitor.push({ do: "write-pid-file", path: input.pidFile, because: "--pid-file" });
  const score = process.oomScoreAdj ?? containerConfig.process?.oomScoreAdj;
  const container: ContainerStep[] = [
    // First: from the container's mount namespace the hierarchies are out of sight.
    ...(cgroups.kind === "v2"
      ? []
      : dirs.map((dir) => ({ do: "enter-cgroup", dir, because: ofContainer, ...unsure }) as const)),
    // Through the host's /proc: what the container has put over its own would be written to (CVE-2025-52881).
    ...(score === undefined
      ? []
      : [{ do: "oom-score", value: score, because: "process.oomScoreAdj", ...unprivileged } as const]),
    ...labelSteps(
      {
        ...process,
        ...(profile === undefined ? {} : { apparmorProfile: profile }),
        ...(label === undefined ? {} : { selinuxLabel: label }),
      },
      because,
    ),
    {
      do: "join-namespaces",
      pid: target.pid,
      startTime: BigInt(target.startTime),
      flags: memberFlags(containerConfig),
      because: ofContainer,
    },
    ...(hasUserNamespace(containerConfig) ? [enterJoinedUser(containerConfig, ofContainer)] : []),
    { do: "wait-parent", because: ofContainer },
    // After it: the kernel forgets it when the cpuset changes.
    ...(initial !== "" && (affinity.final ?? "") === ""
      ? []
      : [affinityStep(affinity.final, "process.execCPUAffinity.final")]),
    ...(input.newKeyring === false ? [] : [keyringStep(containerConfig, label)]),
    process.terminal === true
      ? { do: "console", bindDevConsole: false, because: "--tty" }
      : { do: "set-session", because: "the default: a session of its own" },
    ...planProcess({
      process,
      useInit: false,
      makeCwd: false,
      because,
      ...(containerConfig.linux === undefined ? {} : { linux: containerConfig.linux }),
      ...(input.state === undefined ? {} : { state: input.state }),
    }),
  ];
  return {
    plan: { monitor, container, teardown: [] },
    warnings: capabilityWarnings(process.capabilities),
    notes: planNotes([...monitor, ...container]),
  };
}

function hasUserNamespace(config: OciConfig): boolean {
  return config.linux?.namespaces?.some(({ type }) => type === "user") === true;
}

/** As runc: what a process does not say of its scheduling and limits is the container's. */
function withInherited(process: OciProcess, container: OciProcess | undefined): OciProcess {
  if (container === undefined) return process;
  const { scheduler, ioPriority, rlimits } = container;
  return {
    ...(scheduler === undefined ? {} : { scheduler }),
    ...(ioPriority === undefined ? {} : { ioPriority }),
    ...(rlimits === undefined ? {} : { rlimits }),
    ...process,
  };
}

/** The container's own, found by its name. */
function keyringStep(config: OciConfig, label: string | undefined): ContainerStep {
  const name = `_ses.${idOf(config)}`;
  return {
    do: "keyring",
    name,
    rights: 0,
    label: label ?? "",
    because: "exec: the container's session keyring",
  };
}
