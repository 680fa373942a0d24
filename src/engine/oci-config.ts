/** From a container's record to its OCI config (runtime-spec config.md). Pure: everything that was looked up is handed in. */
import {
  defaultMaskedPaths,
  defaultReadonlyPaths,
  type OciBlockIo,
  type OciConfig,
  type OciLinux,
  type OciNamespace,
  type OciProcess,
} from "../runtime/index.ts";
import type { UserNamespace } from "./containers/user-namespace.ts";
import type { JoinedPaths } from "./containers/joined-container.ts";
import { mergeEnv } from "./containers/merge-config.ts";
import type { ContainerRecord, HostConfig } from "./container.ts";
import type { HostDevice } from "./host-devices.ts";
import { ociMounts, type ResolvedMount, rootPropagation } from "./oci-mounts.ts";
import { ociResources } from "./oci-resources.ts";
import { grantedCapabilities, securityOptions, seccompFor } from "./oci-security.ts";
import { networkKind } from "./network-mode.ts";
import { toRlimit } from "./ulimits.ts";
import type { ResolvedUser } from "./users/resolve-user.ts";

export interface OciConfigInput {
  readonly record: ContainerRecord;
  readonly user: ResolvedUser;
  /** Where the root is mounted, in the container's own mount namespace. */
  readonly rootPath: string;
  readonly cgroupsPath: string;
  /** In mounting order. */
  readonly mounts: readonly ResolvedMount[];
  readonly devices: readonly HostDevice[];
  /** Settings that every container with a network of its own gets, as far as this kernel has them. */
  readonly defaultSysctls: Readonly<Record<string, string>>;
  /** Whether the kernel counts swap: else `--memory` limits memory alone. */
  readonly swapAccounting: boolean;
  /** Namespaces of other containers that it joins. */
  readonly joins?: JoinedPaths;
  /** Its /dev/shm on the host, when others share it. */
  readonly sharedMemory?: string | undefined;
  readonly userNamespace?: UserNamespace | undefined;
  readonly blockIo?: OciBlockIo | undefined;
  /** Whether AppArmor is on. */
  readonly appArmor?: boolean;
  /** The engine's own oom_score_adj, which its children have unless told; 0 when absent. */
  readonly inheritedOomScore?: number;
  /** The engine's own profile, for containers that name none. */
  readonly seccomp?: string | undefined;
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** @throws {GantryError} "invalid" for an unknown capability, ulimit or seccomp profile */
export function ociConfig(input: OciConfigInput): OciConfig {
  const { record } = input;
  const { config, host } = record;
  return {
    ociVersion: "1.3.0",
    process: ociProcess(input),
    root: { path: input.rootPath, readonly: host.ReadonlyRootfs },
    ...(host.UTSMode === "host" ? {} : { hostname: config.Hostname }),
    ...(host.UTSMode === "host" || config.Domainname === "" ? {} : { domainname: config.Domainname }),
    mounts: ociMounts(host, input.mounts, input.sharedMemory),
    ...(Object.keys(host.Annotations).length === 0 ? {} : { annotations: host.Annotations }),
    linux: ociLinux(input),
  };
}

function ociProcess({ record, user, appArmor, inheritedOomScore = 0 }: OciConfigInput): OciProcess {
  const { config, host } = record;
  const capabilities = grantedCapabilities(host);
  const { noNewPrivileges, appArmor: profile } = securityOptions(host.SecurityOpt);
  return {
    terminal: config.Tty,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
    cwd: config.WorkingDir || "/",
    args: [...config.Entrypoint, ...config.Cmd],
    env: processEnv(record, user),
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    rlimits: host.Ulimits.map(toRlimit),
    noNewPrivileges,
    ...(appArmor === true && profile !== "" ? { apparmorProfile: profile } : {}),
    // An engine that the kernel is to spare (OOMScoreAdjust= of its unit) does not pass that on.
    ...(host.OomScoreAdj === inheritedOomScore ? {} : { oomScoreAdj: host.OomScoreAdj }),
  };
}

/** What dockerd adds, below what the image and the user say. */
export function processEnv(record: ContainerRecord, user: Pick<ResolvedUser, "home">): string[] {
  const { config } = record;
  const base = [
    defaultPath,
    `HOSTNAME=${config.Hostname}`,
    ...(config.Tty ? ["TERM=xterm"] : []),
    `HOME=${user.home}`,
  ];
  return mergeEnv(base, config.Env);
}

function ociLinux(input: OciConfigInput): OciLinux {
  const { record, devices } = input;
  const { host } = record;
  const filter = seccompFor(host, input.seccomp);
  const propagation = rootPropagation(input.mounts);
  return {
    namespaces: namespaces(input),
    ...(input.userNamespace === undefined
      ? {}
      : { uidMappings: input.userNamespace.maps.uids, gidMappings: input.userNamespace.maps.gids }),
    cgroupsPath: input.cgroupsPath,
    resources: ociResources(host, devices, input),
    devices: devices.map(({ access: _access, ...device }) => device),
    maskedPaths: maskedPaths(host),
    readonlyPaths: readonlyPaths(host),
    sysctl: {
      ...(networkKind(host.NetworkMode).kind === "host" ? {} : defaultSysctls(input)),
      ...host.Sysctls,
    },
    ...(filter === undefined ? {} : { seccomp: filter }),
    ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
  };
}

/** Lists of the request come before all: empty ones are `systempaths=unconfined`. Pure. */
export function maskedPaths(host: HostConfig): readonly string[] {
  return host.MaskedPaths ?? (isConfined(host) ? defaultMaskedPaths : []);
}

export function readonlyPaths(host: HostConfig): readonly string[] {
  return host.ReadonlyPaths ?? (isConfined(host) ? defaultReadonlyPaths : []);
}

function isConfined({ Privileged, SecurityOpt }: HostConfig): boolean {
  return !Privileged && securityOptions(SecurityOpt).systemPaths;
}

/** The last of all groups is in no user namespace's map. */
function defaultSysctls({
  defaultSysctls: all,
  userNamespace,
  joins,
}: OciConfigInput): Readonly<Record<string, string>> {
  // They are set already where another container's network is joined.
  if (joins?.network !== undefined) return {};
  const { "net.ipv4.ping_group_range": _, ...others } = all;
  return userNamespace === undefined ? all : others;
}

function namespaces({
  record: { host },
  joins = {},
  userNamespace,
}: OciConfigInput): readonly OciNamespace[] {
  const own = (type: "pid" | "ipc" | "network"): OciNamespace => {
    const path = joins[type];
    return path === undefined ? { type } : { type, path };
  };
  return [
    { type: "mount" },
    ...(userNamespace === undefined
      ? []
      : [
          {
            type: "user",
            ...(userNamespace.path === undefined ? {} : { path: userNamespace.path }),
          } as const,
        ]),
    ...(host.CgroupnsMode === "host" ? [] : [{ type: "cgroup" } as const]),
    ...(networkKind(host.NetworkMode).kind === "host" ? [] : [own("network")]),
    ...(host.PidMode === "host" ? [] : [own("pid")]),
    ...(host.IpcMode === "host" ? [] : [own("ipc")]),
    ...(host.UTSMode === "host" ? [] : [{ type: "uts" } as const]),
  ];
}
