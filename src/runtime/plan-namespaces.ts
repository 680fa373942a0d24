/** Namespaces (runtime-spec config-linux.md, "Namespaces") as clone flags and the child's first steps. Pure. */
import { cloneFlags } from "../kernel/index.ts";
import type { OciConfig, OciNamespaceType } from "./oci-types.ts";
import type { Because, Rootless } from "./plan-input.ts";
import type { ContainerStep, MonitorStep } from "./plan-step.ts";
import { planUserNamespace, type UserNamespaceSteps } from "./plan-user-namespace.ts";

export const namespaceFlags: Readonly<Record<OciNamespaceType, bigint>> = {
  mount: cloneFlags.CLONE_NEWNS,
  pid: cloneFlags.CLONE_NEWPID,
  network: cloneFlags.CLONE_NEWNET,
  ipc: cloneFlags.CLONE_NEWIPC,
  uts: cloneFlags.CLONE_NEWUTS,
  user: cloneFlags.CLONE_NEWUSER,
  cgroup: cloneFlags.CLONE_NEWCGROUP,
  time: cloneFlags.CLONE_NEWTIME,
};

/** gantry-init enters them in the order that rights and sight ask for; this one is for the reader. */
const joinOrder: readonly OciNamespaceType[] = [
  "user",
  "ipc",
  "uts",
  "network",
  "cgroup",
  "time",
  "pid",
  "mount",
];

/**
 * The files that belong to these (queues, /proc/net, /sys/class/net) get their owner when the namespace is made: it must
 * be made by the root of the user namespace.
 */
const ownedByMaker: readonly OciNamespaceType[] = ["network", "ipc"];

export interface NamespaceSteps {
  /** For clone3. */
  readonly cloneFlags: bigint;
  /** Right after the clone. */
  readonly monitor: readonly MonitorStep[];
  /** First steps of the child. */
  readonly join: readonly ContainerStep[];
  /** Made once the child is in its cgroup, which becomes its root. */
  readonly newCgroup: boolean;
}

/** True when its mounts are made in the mount namespace of who starts it. */
export function sharesMounts(config: OciConfig): boolean {
  return !(config.linux?.namespaces ?? []).some(({ type }) => type === "mount");
}

export interface NamespaceOptions {
  readonly rootless?: Rootless | undefined;
  /** The child makes mounts with the host's rights before it enters its user namespace, and a mount namespace of that. */
  readonly mountsFirst?: boolean;
}

/** @throws {GantryError} "invalid" for maps and ids that do not fit together */
export function planNamespaces(
  config: OciConfig,
  because: Because,
  { rootless, mountsFirst = false }: NamespaceOptions = {},
): NamespaceSteps {
  const wanted = config.linux?.namespaces ?? [];
  const fresh = wanted.filter(({ path }) => path === undefined || path === "").map(({ type }) => type);
  const hasPath = wanted.length > fresh.length;
  const user = planUserNamespace(config, because, hasPath || mountsFirst, rootless);
  const join = joinPaths(config, because);
  const time = fresh.includes("time") ? [timeStep(config, because)] : [];
  const newCgroup = fresh.includes("cgroup");
  const flagsOf = (types: readonly OciNamespaceType[]): bigint =>
    types.reduce((flags, type) => flags | namespaceFlags[type], 0n);
  const made = fresh.filter((type) => type !== "cgroup" && type !== "time");
  if (user === undefined)
    return { cloneFlags: flagsOf(made), monitor: [], join: [...join, ...time], newCgroup };
  const early = user.kind === "born" ? made.filter((type) => !ownedByMaker.includes(type)) : [];
  const late = flagsOf(made.filter((type) => type !== "user" && !early.includes(type)));
  return {
    cloneFlags: flagsOf(mountsFirst ? ["mount"] : early),
    monitor: user.monitor,
    join: [...join, ...enterUser(user, late), ...time, { do: "namespaces-ready", because: user.because }],
    newCgroup,
  };
}

function enterUser(user: UserNamespaceSteps, late: bigint): readonly ContainerStep[] {
  if (late === 0n) return [user.enter];
  return [user.enter, { do: "unshare", flags: late, because: user.because }];
}

function joinPaths(config: OciConfig, because: Because): readonly ContainerStep[] {
  const wanted = config.linux?.namespaces ?? [];
  const joined = joinOrder.flatMap((type) => {
    const path = wanted.find((ns) => ns.type === type)?.path ?? "";
    return path === "" ? [] : [{ path, flag: namespaceFlags[type], type }];
  });
  if (joined.length === 0) return [];
  const types = joined.map(({ type }) => type);
  const paths = types.map((type) => `linux.namespaces.${type}`);
  const words = because(
    `the config's ${types.join(", ")} namespace${types.length > 1 ? "s" : ""}`,
    ...paths,
    "linux.namespaces",
  );
  return [{ do: "join-paths", namespaces: joined.map(({ path, flag }) => ({ path, flag })), because: words }];
}

function timeStep(config: OciConfig, because: Because): ContainerStep {
  const offsets = Object.entries(config.linux?.timeOffsets ?? {}).map(
    ([clock, { secs = 0, nanosecs = 0 }]) => `${clock} ${secs} ${nanosecs}\n`,
  );
  return {
    do: "time-namespace",
    offsets: offsets.join(""),
    because: because("the config's time namespace", "linux.timeOffsets", "linux.namespaces"),
  };
}

/** The namespaces that a process of the container's is in: those made or joined for it. */
export function memberFlags(config: OciConfig): bigint {
  let flags = 0n;
  for (const { type } of config.linux?.namespaces ?? []) flags |= namespaceFlags[type];
  return flags;
}
