/** An OCI config becomes the plan of a container. */
import { GantryError } from "../lib/index.ts";
import { cloneFlags, mountFlags } from "../kernel/index.ts";
import { insidePath } from "./inside-path.ts";
import { parsePropagation } from "./mount-options.ts";
import type { OciConfig } from "./oci-types.ts";
import type { CgroupSteps } from "./plan-cgroup.ts";
import { idOf } from "./cgroup-path.ts";
import { planOwnCgroup } from "./plan-own-cgroup.ts";
import { planDevices } from "./plan-devices.ts";
import {
  type Because,
  becauseOf,
  type ContainerPlan,
  type ContainerPlanInput,
  type ExtraSteps,
} from "./plan-input.ts";
import { type PlannedHooks, planHooks, withHooks } from "./plan-hooks.ts";
import { labelSteps, withMountLabel } from "./plan-labels.ts";
import { planLoopback } from "./plan-loopback.ts";
import { isMapped, mappedMounts, mappedSources, unlockedRoot } from "./plan-mapped-root.ts";
import { planMounts } from "./plan-mounts.ts";
import { type NamespaceSteps, planNamespaces, sharesMounts } from "./plan-namespaces.ts";
import { netDeviceSteps } from "./plan-net-devices.ts";
import { planNotes } from "./plan-notes.ts";
import { planProcess, raisedLimits } from "./plan-process.ts";
import { planSources } from "./plan-sources.ts";
import type { ListenerState } from "./plan-seccomp.ts";
import type { ContainerStep, MonitorStep } from "./plan-step.ts";
import { sysctlSteps } from "./plan-sysctl.ts";
import { affinityStep } from "./process-settings.ts";
import { capabilityWarnings } from "./capability-masks.ts";
import { refuseUnsupported } from "./unsupported.ts";

const noHooks: PlannedHooks = { runtime: [], create: [], start: [] };

/**
 * Decides everything that is asked of the kernel for a container. Pure, but for what it reads by input.readText.
 *
 * The child's order: its cgroups; namespaces; wait until its network is there; a cgroup namespace, whose root
 * is then the container's own; settings that are written through the host's trusted /proc; root, mounts, devices;
 * pivot_root, from where no host path is in sight; masks; and the process itself (plan-process.ts).
 * @throws {GantryError} "unsupported" or "invalid" naming the field of the config
 */
export function planContainer(input: ContainerPlanInput): ContainerPlan {
  const { config } = input;
  const because = becauseOf(input.reasons);
  const process = config.process;
  if (process === undefined)
    throw new GantryError("invalid", "process: a container that is started needs a process");
  refuseUnsupported(config, input.hooks !== undefined);
  const cgroup = planOwnCgroup(input, because);
  const namespaces = planNamespaces(config, because, {
    rootless: input.rootless,
    mountsFirst: isMapped(input.overlay),
  });
  const network = withReason(
    input.network ?? planLoopback(config),
    because("the network of the container", "network"),
  );
  const container = [
    ...cgroup.enter,
    ...scoreSteps(input, because, "child"),
    ...(isMapped(input.overlay) ? mappedMounts(input.overlay) : []),
    ...namespaces.join,
    ...arrival(input, namespaces, because),
    ...network.container,
    ...rootSteps(input, cgroup, because),
    ...planProcess({
      process,
      useInit: input.useInit === true,
      makeCwd: true,
      because,
      state: listenerState(input),
      ...(config.linux === undefined ? {} : { linux: config.linux }),
      ...(input.startFifo === undefined ? {} : { startFifo: input.startFifo }),
    }),
  ];
  const hooks = input.hooks === undefined ? noHooks : planHooks(config, input.hooks, because);
  const plan = {
    monitor: monitorSteps(input, cgroup, namespaces, network, because),
    ...(hooks.runtime.length === 0 ? {} : { hooks: hooks.runtime }),
    container: withMountLabel(withHooks(container, hooks), config.linux?.mountLabel),
    teardown: [...cgroup.teardown, ...unmountRoot(config), ...network.teardown],
  };
  return {
    plan,
    warnings: capabilityWarnings(process.capabilities),
    notes: planNotes(container),
    ...(cgroup.oomPath === undefined ? {} : { oomPath: cgroup.oomPath }),
  };
}

// oxlint-disable-next-line max-params -- the parts of one plan, each made once by the caller
function monitorSteps(
  input: ContainerPlanInput,
  cgroup: CgroupSteps,
  namespaces: NamespaceSteps,
  network: ExtraSteps,
  because: Because,
): readonly MonitorStep[] {
  const { intoCgroup } = cgroup;
  const clone: MonitorStep = {
    do: "clone",
    flags: namespaces.cloneFlags,
    ...(intoCgroup === undefined ? {} : { intoCgroup }),
    because: because("the default: a container has its own namespaces", "linux.namespaces"),
  };
  const pidFile: readonly MonitorStep[] =
    input.pidFile === undefined ? [] : [{ do: "write-pid-file", path: input.pidFile, because: "--pid-file" }];
  return [
    ...cgroup.before,
    ...(isMapped(input.overlay) ? mappedSources(input.config, input.overlay) : []),
    ...planSources({
      config: input.config,
      hasPlainRoot: input.overlay === undefined,
      because,
      ...(input.rootless === undefined ? {} : { rootless: input.rootless }),
    }),
    clone,
    ...namespaces.monitor,
    ...raisedLimits(input.config, input.config.process, because),
    ...cgroup.join,
    ...scoreSteps(input, because, "monitor"),
    ...network.monitor,
    ...netDeviceSteps(input.config, because),
    ...pidFile,
  ];
}

/** From the child's birth until its root is made. */
function arrival(
  input: ContainerPlanInput,
  namespaces: NamespaceSteps,
  because: Because,
): readonly ContainerStep[] {
  const { config } = input;
  const steps: ContainerStep[] = [
    { do: "wait-parent", because: "the default: nothing runs before the limits and the network are there" },
    affinityStep(undefined, ""),
  ];
  if (namespaces.newCgroup)
    steps.push({
      do: "unshare",
      flags: cloneFlags.CLONE_NEWCGROUP,
      because: because("the default: a container sees only its own cgroup", "linux.namespaces"),
    });
  if (input.newKeyring !== false)
    steps.push({
      do: "keyring",
      name: `_ses.${idOf(config)}`,
      rights: hasUserNamespace(config) ? keyringRights.others : keyringRights.user,
      label: config.process?.selinuxLabel ?? "",
      because: "the default: a session keyring of its own",
    });
  steps.push(...scoreSteps(input, because, "member"));
  if (config.process !== undefined) steps.push(...labelSteps(config.process, because));
  steps.push(...sysctlSteps(config, because));
  if ((config.hostname ?? "") !== "")
    steps.push({
      do: "hostname",
      name: config.hostname ?? "",
      because: because("the config's hostname", "hostname"),
    });
  if ((config.domainname ?? "") !== "")
    steps.push({
      do: "domainname",
      name: config.domainname ?? "",
      because: because("the config's domainname", "domainname"),
    });
  return steps;
}

function rootSteps(
  input: ContainerPlanInput,
  cgroup: CgroupSteps,
  because: Because,
): readonly ContainerStep[] {
  const { config, cgroups, overlay } = input;
  const mounts = planMounts({ config, cgroups, controllers: cgroup.controllers, because });
  const propagation = parsePropagation(config.linux?.rootfsPropagation ?? "") ?? 0n;
  const hidden = because("the default masked paths", "linux.maskedPaths");
  const frozen = because("the default read-only paths", "linux.readonlyPaths");
  const steps: ContainerStep[] = [];
  const rootPath = overlay?.target ?? config.root?.path ?? "";
  // What the container shares with the host stays as the host has it.
  if (!sharesMounts(config)) steps.push(...earlyPropagation(propagation, rootPath, because));
  if (isMapped(overlay)) steps.push(...unlockedRoot(overlay));
  else if (overlay !== undefined)
    steps.push({
      do: "overlay",
      ...overlay,
      because: because("the image's layers and the container's own on top", "root"),
    });
  steps.push({
    do: "root",
    path: rootPath,
    flags:
      mountFlags.MS_BIND | mountFlags.MS_REC | (propagation & (mountFlags.MS_SLAVE | mountFlags.MS_SHARED)),
    because: because("the image", "root"),
  });
  steps.push(...mounts.mounts, ...planDevices(config, because));
  steps.push(enterRoot(input));
  const session: ContainerStep =
    config.process?.terminal === true ? { do: "console", bindDevConsole: true } : { do: "set-session" };
  steps.push({ ...session, because: because("the default: a session of its own", "process.terminal") });
  steps.push(...mounts.late);
  for (const path of new Set(config.linux?.readonlyPaths?.map((path) => insidePath(path))))
    steps.push({ do: "read-only", path, because: frozen });
  for (const path of new Set(config.linux?.maskedPaths?.map((path) => insidePath(path))))
    steps.push({ do: "mask", path, because: hidden });
  steps.push(...latePropagation(propagation, because));
  if (config.root?.readonly === true)
    steps.push({
      do: "remount-root",
      flags: mountFlags.MS_RDONLY,
      because: because("root.readonly of the config", "root.readonly"),
    });
  return steps;
}

function enterRoot({ config, noPivot }: ContainerPlanInput): ContainerStep {
  if (sharesMounts(config))
    return {
      do: "pivot-root",
      instead: "chroot",
      because: "linux.namespaces of the config has no mount namespace",
    };
  return noPivot === true
    ? { do: "pivot-root", instead: "move", because: "--no-pivot" }
    : { do: "pivot-root", because: "the default: the host's files are out of sight" };
}

/** As with runc the mounts of such a container are then the host's, below its root; they go with it. */
function unmountRoot(config: OciConfig): readonly MonitorStep[] {
  if (!sharesMounts(config)) return [];
  const because = "linux.namespaces of the config has no mount namespace";
  return [{ do: "unmount-tree", path: config.root?.path ?? "", because, optional: true }];
}

/**
 * Before anything is mounted. The rule is that the host's mounts are one-way: they may come in, none goes out. Where the
 * config has a shared root its volumes stay peers of the host's mounts, and only those around the root are cut off.
 */
function earlyPropagation(propagation: bigint, rootPath: string, because: Because): readonly ContainerStep[] {
  const words = because("the default: no mount of the container reaches the host", "linux.rootfsPropagation");
  if ((propagation & mountFlags.MS_SHARED) !== 0n)
    return [{ do: "private-parent", path: rootPath, because: words }];
  const isGiven = (propagation & (mountFlags.MS_PRIVATE | mountFlags.MS_SLAVE)) !== 0n;
  const flags = (isGiven ? propagation : mountFlags.MS_SLAVE) | mountFlags.MS_REC;
  return [{ do: "mount-propagation", path: "/", flags, because: words }];
}

/** After pivot-root, which refuses a shared root. */
function latePropagation(propagation: bigint, because: Because): readonly ContainerStep[] {
  if ((propagation & (mountFlags.MS_SHARED | mountFlags.MS_UNBINDABLE)) === 0n) return [];
  const words = because("linux.rootfsPropagation of the config", "linux.rootfsPropagation");
  return [{ do: "root-propagation", flags: propagation, because: words }];
}

/**
 * A process of the host's user namespace sets its own score first of all. One of another has no right to lower it: the
 * monitor does it, or where the monitor is no root either, the process, which may raise it.
 */
function scoreSteps(
  { config, rootless }: ContainerPlanInput,
  because: Because,
  who: "child" | "monitor" | "member",
): readonly (ContainerStep & MonitorStep)[] {
  const value = config.process?.oomScoreAdj;
  if (value === undefined || hasUserNamespace(config) === (who === "child")) return [];
  const words = because("process.oomScoreAdj of the config", "process.oomScoreAdj");
  const step = { do: "oom-score", value, because: words } as const;
  // Only root may lower it: as with runc an ordinary user's containers keep what they have.
  return [who === "monitor" || rootless !== undefined ? { ...step, optional: true } : step];
}

/** Search by the user, or by all: a process of a user namespace has no keys by its user. @see keyrings(7) */
const keyringRights = { user: 0x80000, others: 0x8 } as const;

function hasUserNamespace(config: OciConfig): boolean {
  return config.linux?.namespaces?.some(({ type }) => type === "user") === true;
}

function listenerState({ config, hooks }: ContainerPlanInput): ListenerState {
  return {
    ociVersion: config.ociVersion,
    id: hooks?.id ?? idOf(config),
    status: "creating",
    bundle: hooks?.bundle ?? "",
    ...(config.annotations === undefined ? {} : { annotations: config.annotations }),
  };
}

function withReason(steps: ExtraSteps, words: string): ExtraSteps {
  return {
    monitor: steps.monitor.map((step) => ({ because: words, ...step })),
    container: steps.container.map((step) => ({ because: words, ...step })),
    teardown: steps.teardown.map((step) => ({ because: words, ...step })),
  };
}
