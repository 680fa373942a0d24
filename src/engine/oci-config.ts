/** From a container's record to its OCI config (runtime-spec config.md). Pure: everything that was looked up is handed in. */
import {
  defaultMaskedPaths,
  defaultReadonlyPaths,
  type OciConfig,
  type OciLinux,
  type OciNamespace,
  type OciProcess,
} from "../runtime/index.ts";
import { mergeEnv } from "./containers/merge-config.ts";
import type { ContainerRecord } from "./container.ts";
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
    mounts: ociMounts(host, input.mounts),
    linux: ociLinux(input),
  };
}

function ociProcess({ record, user }: OciConfigInput): OciProcess {
  const { config, host } = record;
  const capabilities = grantedCapabilities(host);
  const { noNewPrivileges } = securityOptions(host.SecurityOpt);
  return {
    terminal: config.Tty,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
    cwd: config.WorkingDir || "/",
    args: [...config.Entrypoint, ...config.Cmd],
    env: processEnv(record, user),
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    rlimits: host.Ulimits.map(toRlimit),
    noNewPrivileges,
    ...(host.OomScoreAdj === 0 ? {} : { oomScoreAdj: host.OomScoreAdj }),
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
  const { systemPaths, seccomp } = securityOptions(host.SecurityOpt);
  const confined = !host.Privileged && systemPaths;
  const filter = host.Privileged ? undefined : seccompFor(seccomp, grantedCapabilities(host));
  const propagation = rootPropagation(input.mounts);
  return {
    namespaces: namespaces(record),
    cgroupsPath: input.cgroupsPath,
    resources: ociResources(host, devices, input.swapAccounting),
    devices: devices.map(({ access: _access, ...device }) => device),
    maskedPaths: confined ? defaultMaskedPaths : [],
    readonlyPaths: confined ? defaultReadonlyPaths : [],
    sysctl: {
      ...(networkKind(host.NetworkMode).kind === "host" ? {} : input.defaultSysctls),
      ...host.Sysctls,
    },
    ...(filter === undefined ? {} : { seccomp: filter }),
    ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
  };
}

function namespaces({ host }: ContainerRecord): readonly OciNamespace[] {
  return [
    { type: "mount" },
    { type: "cgroup" },
    ...(networkKind(host.NetworkMode).kind === "host" ? [] : [{ type: "network" } as const]),
    ...(host.PidMode === "host" ? [] : [{ type: "pid" } as const]),
    ...(host.IpcMode === "host" ? [] : [{ type: "ipc" } as const]),
    ...(host.UTSMode === "host" ? [] : [{ type: "uts" } as const]),
  ];
}
