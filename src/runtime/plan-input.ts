/** What a plan is made from. */
import type { CgroupLayout } from "../kernel/index.ts";
import type { CgroupRights } from "./cgroup-rights.ts";
import type { OciConfig, OciProcess } from "./oci-types.ts";
import type { ListenerState } from "./plan-seccomp.ts";
import type { ContainerStep, MonitorStep, Plan } from "./plan-step.ts";

/** Steps of another room (network), put where they belong. */
export interface ExtraSteps {
  /** After the child was made, before it goes on. */
  readonly monitor: readonly MonitorStep[];
  /** In the child's namespaces, before its root changes. */
  readonly container: readonly ContainerStep[];
  /** After the container's end. */
  readonly teardown: readonly MonitorStep[];
}

export interface OverlayRoot {
  /** A host directory; the mount is seen by the container only. */
  readonly target: string;
  /** Top layer first. */
  readonly lowers: readonly string[];
  /** Empty: read-only. */
  readonly upper: string;
  readonly work: string;
  readonly options: string;
  /**
   * In a user namespace: layers are shown with its ids, and so is `writable`, the directory of `upper` and `work` (by these
   * names), at the empty directory `at` of the host's.
   */
  readonly mapped?: { readonly writable: string; readonly at: string };
}

/** What hooks are told, and where they run. */
export interface HookContext {
  readonly id: string;
  /** Absolute; the working directory of the hooks on the host. */
  readonly bundle: string;
  /** Absolute; the working directory of createContainer hooks. */
  readonly rootfs: string;
  /** The runtime's own environment, for hooks without one. */
  readonly env: readonly string[];
}

/** Who makes the container is an ordinary user. */
export interface Rootless {
  readonly uid: number;
  readonly gid: number;
  /** Paths of the programs that map ranges of ids, where they are installed. */
  readonly newuidmap?: string;
  readonly newgidmap?: string;
}

export interface ContainerPlanInput {
  /** Valid (`validateConfig`); users as numbers, mounts and cgroupsPath absolute. */
  readonly config: OciConfig;
  /** Else `config.root.path`, absolute, is the root. */
  readonly overlay?: OverlayRoot;
  readonly cgroups: CgroupLayout;
  readonly network?: ExtraSteps;
  /** Config path to words that complete "because of …". */
  readonly reasons?: Readonly<Record<string, string>>;
  /** Missing: root makes it. */
  readonly rootless?: Rootless;
  /** Missing: cgroups can be made in every hierarchy. */
  readonly cgroupRights?: CgroupRights;
  /** A small init is process 1 and starts the program. */
  readonly useInit?: boolean;
  /** A session keyring of its own, so that the starter's is out of reach. Default true. */
  readonly newKeyring?: boolean;
  /** Needed when the config has hooks that run before the program. */
  readonly hooks?: HookContext;
  /** The root is entered by moving its mount and chroot: on the initial ramdisk, where pivot_root(2) is refused. */
  readonly noPivot?: boolean;
  /** systemd made the container's scope (systemd-cgroup.ts), whose path the config's cgroupsPath is. */
  readonly systemdCgroup?: boolean;
  /** The program waits until somebody reads this fifo (`gantry-oci create`). */
  readonly startFifo?: string;
  /** The monitor writes the process's pid here. */
  readonly pidFile?: string;
  /** Reads a file of the machine, undefined when it is not there: needed when cpuset limits on cgroup v1 are asked for. */
  readonly readText?: (path: string) => string | undefined;
}

export interface ContainerPlan {
  readonly plan: Plan;
  /** Where the kernel counts OOM kills of the container, for the monitor's options. */
  readonly oomPath?: string;
  /** What was passed over, in words for the log. */
  readonly warnings: readonly string[];
  /** For the log of --debug. */
  readonly notes: readonly string[];
}

export interface ExecPlanInput {
  /** Users as numbers. */
  readonly process: OciProcess;
  /** The container's first process; the start time guards against a pid that was used again. */
  readonly target: { readonly pid: number; readonly startTime: string };
  readonly containerConfig: OciConfig;
  readonly cgroups: CgroupLayout;
  /** The directories to enter, which exist; missing: the container's in every hierarchy, where there is one. */
  readonly cgroupDirs?: readonly string[];
  /** Missing: root runs it. */
  readonly rootless?: Rootless;
  readonly pidFile?: string;
  /** The container has a session keyring of its own, which the process joins. Default true. */
  readonly newKeyring?: boolean;
  /** For who listens to a seccomp filter's questions. */
  readonly state?: ListenerState;
}

/** Finds the words for the steps that come from a config path. */
export type Because = (fallback: string, ...paths: readonly string[]) => string;

/** The first path with words wins; else the fallback. */
export function becauseOf(reasons: Readonly<Record<string, string>> = {}): Because {
  return (fallback, ...paths) => {
    for (const path of paths) {
      const words = reasons[path];
      if (words !== undefined) return words;
    }
    return fallback;
  };
}
