/** The mounts of a container as OCI mounts: Docker's defaults, changed by flags, then the user's. Pure. */
import { defaultMounts, type OciMount } from "../runtime/index.ts";
import type { HostConfig } from "./container.ts";
import { securityOptions } from "./oci-security.ts";

/** A mount whose source on the host is known. */
export interface ResolvedMount {
  readonly type: "bind" | "tmpfs";
  /** Host path; empty for tmpfs. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly propagation: string;
  /** Of a tmpfs. */
  readonly options: string;
  /** Its files' ids are the container's, as the host has them without its user namespace. */
  readonly idMapped?: boolean;
}

/** @param sharedMemory the host's directory that is its /dev/shm */
export function ociMounts(
  host: HostConfig,
  mounts: readonly ResolvedMount[],
  sharedMemory?: string,
): OciMount[] {
  const taken = new Set(mounts.map(({ target }) => target));
  const defaults = defaultMounts
    .map((mount) => changedByFlags(mount, host, sharedMemory))
    .filter((mount) => mount !== undefined);
  return [...defaults.filter(({ destination }) => !taken.has(destination)), ...mounts.map(toOci)];
}

function changedByFlags(
  mount: OciMount,
  host: HostConfig,
  sharedMemory: string | undefined,
): OciMount | undefined {
  switch (mount.destination) {
    case "/dev/shm":
      if (host.IpcMode === "none") return undefined;
      if (host.IpcMode === "host") return bindAt(mount.destination, mount.destination);
      if (sharedMemory !== undefined) return bindAt(sharedMemory, mount.destination);
      return {
        ...mount,
        options: [
          ...(mount.options ?? []).filter((option) => !option.startsWith("size=")),
          `size=${host.ShmSize}`,
        ],
      };
    case "/sys":
    case "/sys/fs/cgroup":
      if (!isWritable(mount.destination, host)) return mount;
      return { ...mount, options: [...(mount.options ?? []).filter((option) => option !== "ro"), "rw"] };
    default:
      return mount;
  }
}

function bindAt(source: string, destination: string): OciMount {
  return { destination, type: "bind", source, options: ["rbind", "nosuid", "noexec", "nodev"] };
}

function isWritable(path: string, { Privileged, SecurityOpt }: HostConfig): boolean {
  if (path !== "/sys/fs/cgroup") return Privileged;
  return securityOptions(SecurityOpt).writableCgroups ?? Privileged;
}

function toOci(mount: ResolvedMount): OciMount {
  const access = mount.readOnly ? "ro" : "rw";
  if (mount.type === "tmpfs") {
    const asked = mount.options === "" ? [] : mount.options.split(",");
    return {
      destination: mount.target,
      type: "tmpfs",
      source: "tmpfs",
      options: ["noexec", "nosuid", "nodev", access, ...asked],
    };
  }
  const propagation = mount.propagation === "" ? "rprivate" : mount.propagation;
  return {
    destination: mount.target,
    type: "bind",
    source: mount.source,
    options: ["rbind", access, propagation, ...(mount.idMapped === true ? ["idmap"] : [])],
  };
}

/** What the root must be so that a mount's propagation reaches the host or comes from it; undefined: private. */
export function rootPropagation(mounts: readonly ResolvedMount[]): string | undefined {
  if (mounts.some(({ propagation }) => propagation.endsWith("shared"))) return "rshared";
  return mounts.some(({ propagation }) => propagation.endsWith("slave")) ? "rslave" : undefined;
}
