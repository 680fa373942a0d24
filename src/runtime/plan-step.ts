/**
 * A plan: everything that is asked of the kernel for one container, as plain data. native/PROTOCOL.md says what each step
 * does and how it is encoded; `encode-plan.ts` encodes, `explain-plan.ts` puts it into words, `gantry-init` executes.
 */

/** Why a step is in the plan, for `gantry explain`: a flag (`--memory 64m`), a field of the config, or a default. */
export interface StepReason {
  readonly because?: string;
  /** A failure of this step is ignored. */
  readonly optional?: boolean;
}

export interface NetlinkMessage {
  readonly message: Uint8Array;
  /** Byte offset at which the child's pid is written as u32 before sending. */
  readonly pidOffset?: number;
  /** In words: "create veth gv12ab34 with its peer in the container". */
  readonly description: string;
}

/** Capability sets as bit masks, bit n = capability number n. */
export interface CapabilityMasks {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

/** In the child: seen by the container only. In the monitor after private-mounts: seen by it and what it starts. */
export interface OverlayStep {
  readonly do: "overlay";
  readonly target: string;
  readonly lowers: readonly string[];
  readonly upper: string;
  readonly work: string;
  readonly options: string;
}

/** A program of config.hooks; in section "hooks" the monitor runs it, in "container" the child. */
export type HookStep = StepReason & {
  readonly do: "run-hook";
  /** "createRuntime hook #1": how errors name it. */
  readonly label: string;
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** It is killed then, with its process group. */
  readonly seconds: number;
  /** JSON for its stdin, with 8 blanks at byte `pidAt` in whose place the pid comes. */
  readonly state: string;
  readonly pidAt: number;
  /** Empty: where the process is. */
  readonly cwd: string;
};

/** A host path shown inside. */
export interface BindStep extends StepReason {
  readonly do: "bind";
  readonly source: string;
  readonly inside: string;
  /** MS_REC: with all below. Others: of the mount itself, where attrSet and attrClear are of all. */
  readonly flags: bigint;
  /** MOUNT_ATTR_* of the mount itself; with `recursive` of it and all below. */
  readonly attrSet: bigint;
  readonly attrClear: bigint;
  /** Of the mount itself: cleared unless the kernel has it locked. */
  readonly attrUnset?: bigint;
  readonly recursive: boolean;
  readonly makeTarget: "no" | "dir" | "file" | "as-source";
  readonly propagation: bigint;
  /** A symlink at the source, at the destination is meant itself. */
  readonly sourceLink?: boolean;
  readonly placeLink?: boolean;
  /** A source that is a symlink is made anew inside instead. */
  readonly copySymlink?: boolean;
  /** May lie in a procfs; must be one. */
  readonly onProc?: boolean;
  readonly fromProc?: boolean;
  /** In a user namespace: flags of the host's mount stay. */
  readonly locked?: boolean;
  /** The source is a path below the container's root. */
  readonly fromInside?: boolean;
}

/** A filter whose questions go to the socket `path` on the host. */
export interface SeccompListenerStep {
  readonly do: "seccomp-listener";
  readonly program: Uint8Array;
  readonly flags: number;
  readonly path: string;
  /** The container process state as JSON; the process's pid goes between each two parts. */
  readonly state: readonly string[];
}

export interface KeyringStep {
  readonly do: "keyring";
  readonly name: string;
  /** Added to the rights of keyrings(7), so that later processes find it by its name; 0 leaves them. */
  readonly rights: number;
  /** SELinux label, or empty. */
  readonly label: string;
}

/** @see sched_setattr(2). Times in nanoseconds. */
export interface SchedulerStep {
  readonly do: "scheduler";
  readonly policy: number;
  readonly nice: number;
  readonly priority: number;
  readonly flags: bigint;
  readonly runtime: bigint;
  readonly deadline: bigint;
  readonly period: bigint;
}

/** Bit n of the bytes is processor n; none: all that the cpuset has. */
export interface CpuAffinityStep {
  readonly do: "cpu-affinity";
  readonly cpus: Uint8Array;
}

export interface MoveDeviceStep {
  readonly do: "move-device";
  /** On the host. */
  readonly name: string;
  /** In the container. */
  readonly inside: string;
  /** Empty: the network namespace that the child was made with. */
  readonly namespace: string;
}

/** Becomes the root of the user namespace that the child was born in, makes now, or has joined. */
export interface UserNamespaceStep {
  readonly do: "user-namespace";
  readonly uid: number;
  readonly gid: number;
  readonly kind: "born" | "unshared" | "joined";
}

/** Writes the maps of the child's user namespace (none: it was joined) and waits for namespaces-ready. */
export interface IdMapsStep {
  readonly do: "id-maps";
  /** Lines of uid_map, gid_map. */
  readonly uids: string;
  readonly gids: string;
  /** The child makes it after it has joined others, and says so. */
  readonly isUnshared: boolean;
  /** An ordinary user may write its group's map only after giving up setgroups. */
  readonly deniesGroups: boolean;
  /** Programs that write the maps instead. */
  readonly newuidmap?: string;
  readonly newgidmap?: string;
  /** Host ids of who the program runs as: the pipes on 0..2 become theirs. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** A mount of the host, for `root` (inside "") or the `bind` on `inside`; before the clone. */
export interface OpenSourceStep {
  readonly do: "open-source";
  readonly inside: string;
  readonly path: string;
  readonly recursive: boolean;
  /** A symlink at the source is meant itself. */
  readonly sourceLink?: boolean;
  /** Id maps of the mount; empty: as it is. */
  readonly uids: string;
  readonly gids: string;
  /** The ids of all mounts below, too. */
  readonly mapsBelow?: boolean;
  /** The maps alone are made, for what `bind` opens itself: it may be there only once earlier mounts are made. */
  readonly mapsLater?: boolean;
}

/** Steps that run on the host side, in the monitor. */
export type MonitorStep = StepReason &
  (
    | { readonly do: "make-dir"; readonly path: string; readonly mode: number; readonly parents: boolean }
    | { readonly do: "write-file"; readonly path: string; readonly data: string; readonly openFlags?: number }
    | { readonly do: "join-cgroup"; readonly dir: string }
    | { readonly do: "clone"; readonly flags: bigint; readonly intoCgroup?: string }
    | { readonly do: "netlink"; readonly protocol: number; readonly messages: readonly NetlinkMessage[] }
    | { readonly do: "cgroup-devices"; readonly dir: string; readonly program: Uint8Array }
    | IdMapsStep
    | OpenSourceStep
    /** Raises the child's hard limit, which a user namespace may not any more. */
    | { readonly do: "child-rlimit"; readonly resource: number; readonly hard: bigint }
    /** v1: from the mount down along the path, an empty cpuset gets its parent's cpus and memory nodes. */
    | { readonly do: "fill-cpuset"; readonly mount: string; readonly path: string }
    /** Writes into the first of these files that the kernel has. */
    | {
        readonly do: "limit";
        readonly dir: string;
        readonly files: readonly string[];
        /** One for each file. */
        readonly values: readonly string[];
        /** None of the files: nothing to limit. */
        readonly missingIsFine: boolean;
      }
    /** v2: the directory and what the kernel lets be delegated of it belong to this user. */
    | { readonly do: "cgroup-owner"; readonly dir: string; readonly uid: number }
    /** Reads the first of these files below the root that is a program, so that a small container need not. */
    | { readonly do: "warm-program"; readonly root: string; readonly files: readonly string[] }
    | { readonly do: "remove-cgroup"; readonly dir: string }
    | { readonly do: "remove-file"; readonly path: string }
    /** Of a container that shares its mount namespace. */
    | { readonly do: "unmount-tree"; readonly path: string }
    | { readonly do: "write-pid-file"; readonly path: string }
    | MoveDeviceStep
    | CpuAffinityStep
    | { readonly do: "oom-score"; readonly value: number }
    /** Of a container that another OCI runtime makes (plan-foreign.ts). */
    | { readonly do: "become-parent" }
    /** Without the mounts at `hide`. */
    | { readonly do: "private-mounts"; readonly hide: readonly string[] }
    | OverlayStep
    | {
        readonly do: "run-program";
        readonly argv: readonly string[];
        readonly env: readonly string[];
        /** Killed then. */
        readonly seconds: number;
        /** With the container's stdin, stdout and stderr. */
        readonly stdio: boolean;
        /** Where it writes why it failed. */
        readonly logPath: string;
      }
    | { readonly do: "adopt"; readonly pidFile: string }
    | { readonly do: "console-listen"; readonly path: string }
    | {
        readonly do: "child-netlink";
        readonly protocol: number;
        readonly messages: readonly NetlinkMessage[];
      }
  );

/** Steps that run in the child, on its way to become the container. */
export type ContainerStep = StepReason &
  (
    | HookStep
    /** Waits until the monitor has run the steps of section "hooks". */
    | { readonly do: "ask-hooks" }
    | { readonly do: "make-dir"; readonly path: string; readonly mode: number; readonly parents: boolean }
    | { readonly do: "write-file"; readonly path: string; readonly data: string; readonly openFlags?: number }
    | { readonly do: "netlink"; readonly protocol: number; readonly messages: readonly NetlinkMessage[] }
    | {
        readonly do: "join-namespaces";
        readonly pid: number;
        readonly startTime: bigint;
        readonly flags: bigint;
      }
    /** All of them are opened, and their types checked, before the first is entered. */
    | {
        readonly do: "join-paths";
        readonly namespaces: readonly { readonly path: string; readonly flag: bigint }[];
      }
    | UserNamespaceStep
    /** All namespaces are made and joined: the monitor, which waits in id-maps, goes on. */
    | { readonly do: "namespaces-ready" }
    /** Makes one and enters it. Offsets as /proc/PID/timens_offsets takes them. */
    | { readonly do: "time-namespace"; readonly offsets: string }
    /** v1 only: the child moves itself, which spares the kernel's wait for a grace period. */
    | { readonly do: "enter-cgroup"; readonly dir: string }
    | { readonly do: "unshare"; readonly flags: bigint }
    | { readonly do: "wait-parent" }
    | { readonly do: "mount-propagation"; readonly path: string; readonly flags: bigint }
    | OverlayStep
    | { readonly do: "root"; readonly path: string; readonly flags: bigint }
    | {
        readonly do: "mount";
        readonly source: string;
        readonly inside: string;
        readonly fstype: string;
        readonly flags: bigint;
        readonly data: string;
        readonly makeTarget: boolean;
        /** No symlink on the way to an ordinary directory. */
        readonly plain?: boolean;
        /** May lie in a procfs. */
        readonly onProc?: boolean;
        /** The mode of the directory that is covered. */
        readonly inheritMode?: boolean;
        /** With what the directory holds. */
        readonly copyUp?: boolean;
        /** For a later mount-attributes. */
        readonly keep?: boolean;
        /** Host path that is bound instead where the kernel refuses the file system; a missing one is an empty directory. */
        readonly fallback?: string;
        readonly fallbackReadOnly?: boolean;
      }
    | BindStep
    /** The mount of an earlier step with `keep`. */
    | {
        readonly do: "mount-attributes";
        readonly inside: string;
        readonly set: bigint;
        readonly clear: bigint;
      }
    | {
        readonly do: "remount";
        readonly inside: string;
        readonly set: bigint;
        readonly clear: bigint;
        /** Cleared unless it is locked. */
        readonly unset: bigint;
        readonly data: string;
      }
    /** Host path: the mounts it is in and on are private from here on, in this mount namespace. */
    | { readonly do: "private-parent"; readonly path: string }
    | { readonly do: "root-propagation"; readonly flags: bigint }
    | {
        readonly do: "make-node";
        readonly inside: string;
        readonly mode: number;
        readonly major: number;
        readonly minor: number;
        readonly uid: number;
        readonly gid: number;
      }
    | {
        readonly do: "symlink";
        readonly target: string;
        readonly inside: string;
        /** Another file there makes room. */
        readonly replace?: boolean;
      }
    | {
        readonly do: "make-inside-dir";
        readonly inside: string;
        readonly mode: number;
        readonly uid: number;
        readonly gid: number;
      }
    /** With `move` the root is moved over "/" and entered by chroot, where pivot_root(2) is refused. */
    /** How another root than by pivot_root: moved over / (initramfs), or by chroot alone (no mount namespace). */
    | { readonly do: "pivot-root"; readonly instead?: "move" | "chroot" }
    | { readonly do: "mask"; readonly path: string }
    | { readonly do: "read-only"; readonly path: string }
    | { readonly do: "remount-root"; readonly flags: bigint }
    | { readonly do: "hostname"; readonly name: string }
    | { readonly do: "domainname"; readonly name: string }
    | { readonly do: "sysctl"; readonly key: string; readonly value: string }
    | { readonly do: "rlimit"; readonly resource: number; readonly soft: bigint; readonly hard: bigint }
    | { readonly do: "console"; readonly bindDevConsole: boolean }
    | { readonly do: "set-session" }
    | { readonly do: "capabilities"; readonly sets: CapabilityMasks; readonly phase: "bound" | "set" }
    | {
        readonly do: "ids";
        readonly uid: number;
        readonly gid: number;
        readonly groups: readonly number[];
        readonly umask?: number;
      }
    | { readonly do: "no-new-privs" }
    | { readonly do: "seccomp"; readonly program: Uint8Array; readonly flags: number }
    | { readonly do: "chdir"; readonly path: string; readonly make: boolean }
    | { readonly do: "parent-death-signal"; readonly signal: number }
    | { readonly do: "wait-start"; readonly fifo: string }
    | {
        readonly do: "exec";
        readonly argv: readonly string[];
        readonly env: readonly string[];
        readonly useInit: boolean;
      }
    | KeyringStep
    | SeccompListenerStep
    | SchedulerStep
    | CpuAffinityStep
    /** Class and level as ioprio_set(2) takes them. */
    | { readonly do: "io-priority"; readonly value: number }
    /** `mode` with its flags; bit n of the bytes is node n. */
    | { readonly do: "memory-policy"; readonly mode: number; readonly nodes: Uint8Array }
    | { readonly do: "personality"; readonly value: number }
    /** HOME by the container's /etc/passwd, for a program whose environment has none. */
    | { readonly do: "home"; readonly uid: number }
    | { readonly do: "security-label"; readonly module: "apparmor" | "selinux"; readonly label: string }
    | { readonly do: "oom-score"; readonly value: number }
  );

/** What gantry-init itself needs to know; native/PROTOCOL.md, "Options". */
export interface MonitorOptions {
  readonly socketPath?: string;
  readonly statusPath?: string;
  readonly log?: { readonly path: string; readonly maxBytes: number; readonly maxFiles: number };
  readonly terminal?: { readonly rows: number; readonly cols: number };
  readonly stdin?: { readonly once: boolean };
  readonly oomPath?: string;
  /** One entry per attach fd that is handed over, in order. */
  readonly attach?: readonly AttachStreams[];
  readonly holdFds?: number;
  readonly detach?: boolean;
  readonly consoleSocket?: string;
  readonly processTitle?: string;
  readonly preserveFds?: number;
  /** Output is neither logged nor kept, only relayed to attached clients. */
  readonly noLogRelay?: boolean;
}

export interface AttachStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export type AnyStep = MonitorStep | ContainerStep;

/** The sections that run at the same time or one after the other; see native/PROTOCOL.md. */
export interface Plan {
  readonly monitor: readonly MonitorStep[];
  /** In the monitor, when step `ask-hooks` asks for them. */
  readonly hooks?: readonly HookStep[];
  readonly container: readonly ContainerStep[];
  readonly teardown: readonly MonitorStep[];
}
