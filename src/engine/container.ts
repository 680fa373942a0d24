/** What the engine records of one container. Names of `config` and `host` fields are the Docker Engine API's. */
import type { IdMaps } from "./users/id-maps.ts";

/** `Config` of POST /containers/create, completed from the image. */
export interface ContainerConfig {
  readonly Hostname: string;
  readonly Domainname: string;
  readonly User: string;
  readonly AttachStdin: boolean;
  readonly AttachStdout: boolean;
  readonly AttachStderr: boolean;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Tty: boolean;
  readonly OpenStdin: boolean;
  readonly StdinOnce: boolean;
  readonly Env: readonly string[];
  readonly Cmd: readonly string[];
  readonly Entrypoint: readonly string[];
  /** The reference or id the user gave. */
  readonly Image: string;
  readonly Volumes: Readonly<Record<string, object>>;
  readonly WorkingDir: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly StopSignal: string;
  /** Completed from the image. Undefined: nobody asked for a check. */
  readonly Healthcheck?: Healthcheck | undefined;
  /** Seconds until SIGKILL; undefined: 10. */
  readonly StopTimeout?: number | undefined;
  /** No network but a loopback, whatever NetworkMode says. */
  readonly NetworkDisabled?: boolean;
  /** For inspection alone: what it does is the image's shell form of commands. */
  readonly Shell?: readonly string[] | undefined;
}

/** How a container is asked whether it is well. Times in nanoseconds; 0 or missing: the usual one. */
export interface Healthcheck {
  /** Empty: the image's; else NONE, CMD and words, or CMD-SHELL and a line. */
  readonly Test: readonly string[];
  readonly Interval?: number | undefined;
  readonly Timeout?: number | undefined;
  readonly StartPeriod?: number | undefined;
  readonly StartInterval?: number | undefined;
  readonly Retries?: number | undefined;
}

export interface ProbeResult {
  readonly startMs: number;
  readonly endMs: number;
  /** -1: it took too long, or could not be run. */
  readonly exitCode: number;
  readonly output: string;
}

export interface HealthState {
  readonly status: "starting" | "healthy" | "unhealthy";
  readonly failingStreak: number;
  /** The last five, newest last. */
  readonly log: readonly ProbeResult[];
}

export interface PortBinding {
  readonly HostIp: string;
  readonly HostPort: string;
}

export interface MountRequest {
  readonly Type: "bind" | "volume" | "tmpfs";
  readonly Source: string;
  readonly Target: string;
  readonly ReadOnly: boolean;
  readonly BindOptions?: { readonly Propagation?: string; readonly CreateMountpoint?: boolean };
  readonly VolumeOptions?: { readonly NoCopy?: boolean };
  readonly TmpfsOptions?: { readonly SizeBytes?: number; readonly Mode?: number };
}

export interface DeviceRequest {
  readonly PathOnHost: string;
  readonly PathInContainer: string;
  readonly CgroupPermissions: string;
}

/** `--gpus` and the like; no driver takes any. */
export interface DriverRequest {
  readonly Driver: string;
  readonly Count: number;
  readonly DeviceIDs: readonly string[];
  readonly Capabilities: readonly (readonly string[])[];
  readonly Options: Readonly<Record<string, string>>;
}

export interface DeviceWeight {
  readonly Path: string;
  readonly Weight: number;
}

/** Bytes or operations a second. */
export interface DeviceRate {
  readonly Path: string;
  readonly Rate: number;
}

export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

export type RestartPolicyName = "no" | "always" | "unless-stopped" | "on-failure";

/** `HostConfig` of POST /containers/create: the fields that Gantry honours; others are refused when set. */
export interface HostConfig {
  readonly Binds: readonly string[];
  /** Containers whose binds and volumes this one has too: name or id, `:ro` or `:rw` behind it. */
  readonly VolumesFrom: readonly string[];
  readonly Mounts: readonly MountRequest[];
  readonly Tmpfs: Readonly<Record<string, string>>;
  readonly NetworkMode: string;
  readonly PortBindings: Readonly<Record<string, readonly PortBinding[]>>;
  readonly PublishAllPorts: boolean;
  readonly RestartPolicy: { readonly Name: RestartPolicyName; readonly MaximumRetryCount: number };
  readonly AutoRemove: boolean;
  readonly LogConfig: { readonly Type: string; readonly Config: Readonly<Record<string, string>> };
  readonly Memory: number;
  /** -1: unlimited, 0: twice the memory. */
  readonly MemorySwap: number;
  readonly MemoryReservation: number;
  readonly NanoCpus: number;
  readonly CpuShares: number;
  readonly CpuPeriod: number;
  readonly CpuQuota: number;
  readonly CpusetCpus: string;
  readonly CpusetMems: string;
  readonly PidsLimit: number;
  readonly OomScoreAdj: number;
  readonly Privileged: boolean;
  readonly CapAdd: readonly string[];
  readonly CapDrop: readonly string[];
  readonly SecurityOpt: readonly string[];
  readonly GroupAdd: readonly string[];
  readonly Devices: readonly DeviceRequest[];
  readonly Ulimits: readonly Ulimit[];
  readonly Sysctls: Readonly<Record<string, string>>;
  readonly ReadonlyRootfs: boolean;
  readonly ShmSize: number;
  /** null: as the engine does by default. */
  readonly Init: boolean | null;
  /** "": our own. Missing in records of earlier versions. */
  readonly Runtime?: string;
  /** "none", "private", "shareable", "host", "container:ID". */
  readonly IpcMode: string;
  /** "", "host", "container:ID". */
  readonly PidMode: string;
  readonly UTSMode: string;
  /** "host": none of its own where the engine has one for all. */
  readonly UsernsMode: string;
  /** "host" or "private"; "" in requests of old clients: the host's where there is cgroup v1. */
  readonly CgroupnsMode: string;
  readonly CgroupParent: string;
  readonly CpuRealtimePeriod: number;
  readonly CpuRealtimeRuntime: number;
  readonly BlkioWeight: number;
  readonly BlkioWeightDevice: readonly DeviceWeight[];
  readonly BlkioDeviceReadBps: readonly DeviceRate[];
  readonly BlkioDeviceWriteBps: readonly DeviceRate[];
  readonly BlkioDeviceReadIOps: readonly DeviceRate[];
  readonly BlkioDeviceWriteIOps: readonly DeviceRate[];
  /** null: the kernel's own. */
  readonly MemorySwappiness: number | null;
  readonly OomKillDisable: boolean;
  /** Bytes of TCP buffers, which cgroup v1 counts apart; 0: no limit. */
  readonly KernelMemoryTCP: number;
  readonly DeviceCgroupRules: readonly string[];
  readonly DeviceRequests: readonly DriverRequest[];
  /** null: Docker's defaults. */
  readonly MaskedPaths: readonly string[] | null;
  readonly ReadonlyPaths: readonly string[] | null;
  readonly StorageOpt: Readonly<Record<string, string>>;
  readonly VolumeDriver: string;
  readonly Annotations: Readonly<Record<string, string>>;
  /** Rows and columns of its terminal. */
  readonly ConsoleSize: readonly [number, number];
  /** Where the client wrote the id; for inspection alone. */
  readonly ContainerIDFile: string;
  readonly Isolation: string;
  readonly ExtraHosts: readonly string[];
  readonly Dns: readonly string[];
  readonly DnsSearch: readonly string[];
  readonly DnsOptions: readonly string[];
}

/** The one network of a container: what was asked for. */
export interface NetworkRequest {
  readonly aliases: readonly string[];
  readonly ip: string;
  readonly mac: string;
}

export type ContainerStatus =
  "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";

/** What changes while a container lives; written to the database at every transition. */
export interface ContainerState {
  readonly status: ContainerStatus;
  /** A start was begun and has not been told to have succeeded or failed: after a crash the status file decides. */
  readonly launching: boolean;
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: with it, a pid names one process for ever. Decimal text, for JSON. */
  readonly startTime: string;
  readonly monitorPid: number;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly error: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly restartCount: number;
  /** The user stopped or killed it: `unless-stopped` and `always` leave it until the next start. */
  readonly stoppedByUser: boolean;
  /** Log lines that could not be written (disk full). */
  readonly lostLogLines: number;
  /** Of the user namespace that it was started in; null: the host's. */
  readonly idMaps: IdMaps | null;
  /** Paused for a moment by the engine itself, not by its user: after a crash the next engine thaws it. */
  readonly pausedByEngine: boolean;
  /** Null without a health check, and before the first start. */
  readonly health: HealthState | null;
}

export interface ContainerRecord {
  readonly id: string;
  readonly name: string;
  readonly createdAtMs: number;
  readonly imageId: string;
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  readonly network: NetworkRequest;
  /** Named and anonymous volumes that this container uses, by target; anonymous ones go with `rm -v` and `--rm`. */
  readonly volumes: readonly VolumeUse[];
  /** What `VolumesFrom` meant when it was made. Missing in records of earlier versions. */
  readonly inherited?: readonly InheritedMount[];
}

/** A mount that was another container's first. */
export interface InheritedMount extends MountSpec {
  /** Of a volume: it has no name that somebody gave. */
  readonly anonymous: boolean;
}

/** A mount as it is made. */
export interface MountSpec {
  readonly type: "bind" | "volume" | "tmpfs";
  /** The volume's name; empty for a new anonymous one and for other types. */
  readonly name: string;
  /** Host path of a bind. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** The options as the user wrote them after the second colon. */
  readonly mode: string;
  /** Empty: rprivate for binds. */
  readonly propagation: string;
  /** `-v` makes a missing source directory; `--mount` refuses it. */
  readonly createSource: boolean;
  /** Do not fill an empty volume with what the image has at the target. */
  readonly noCopy: boolean;
  /** Options of a tmpfs, as mount(8) has them. */
  readonly options: string;
}

export interface VolumeUse {
  readonly name: string;
  readonly target: string;
  readonly anonymous: boolean;
}

export const initialState: ContainerState = {
  status: "created",
  launching: false,
  pid: 0,
  startTime: "0",
  monitorPid: 0,
  exitCode: 0,
  oomKilled: false,
  error: "",
  startedAtMs: 0,
  finishedAtMs: 0,
  restartCount: 0,
  stoppedByUser: false,
  lostLogLines: 0,
  idMaps: null,
  pausedByEngine: false,
  health: null,
};

/** The only legal transitions. */
const next: Readonly<Record<ContainerStatus, readonly ContainerStatus[]>> = {
  created: ["running", "exited", "removing", "dead"],
  running: ["paused", "restarting", "exited", "removing", "dead"],
  paused: ["running", "restarting", "exited", "removing", "dead"],
  restarting: ["running", "exited", "removing", "dead"],
  removing: ["dead"],
  exited: ["running", "restarting", "removing", "dead"],
  dead: ["removing"],
};

export function canBecome(from: ContainerStatus, to: ContainerStatus): boolean {
  return from === to || next[from].includes(to);
}

/** Running in the sense of the API: it has processes. */
export function isAlive(status: ContainerStatus): boolean {
  return status === "running" || status === "paused";
}
