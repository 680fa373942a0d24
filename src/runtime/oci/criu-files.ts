/** What lies beside CRIU's images, and the mounts that it must be told about. */
import type { CgroupLayout } from "../../kernel/index.ts";
import type { OciConfig } from "../oci-types.ts";
import type { ExternalMount } from "./criu-args.ts";

/** What the process's fds 0, 1 and 2 were, as runc keeps it. */
export const descriptorsFile = "descriptors.json";
export type Descriptors = readonly string[];

/** Our own: what restore must know of the checkpointed container. */
export const imageNote = "gantry-oci.json";

export interface ImageNote {
  readonly cgroupsPath: string;
  readonly terminal: boolean;
  /** For fd 0, 1 and 2: CRIU's name of a file of the host's; empty for others. */
  readonly hostFiles: readonly string[];
}

/**
 * CRIU's name of an open file on a mount that the container does not have, such as `file[18:4]`; undefined for one of the
 * container's own. Pure.
 * @param fdinfo the text of /proc/PID/fdinfo/FD
 */
export function hostFileName(fdinfo: string, mountinfo: string, inode: number): string | undefined {
  const mount = /^mnt_id:\s*([0-9]+)$/m.exec(fdinfo)?.[1];
  if (mount === undefined) return undefined;
  if (mountinfo.split("\n").some((line) => line.startsWith(`${mount} `))) return undefined;
  return `file[${Number(mount).toString(16)}:${inode.toString(16)}]`;
}

/**
 * On v1 without a cgroup namespace a cgroup mount is a set of binds of the container's own groups; v2 and cgroup namespaces
 * have real mounts, which CRIU saves itself. Pure.
 */
export function cgroupBinds(
  config: OciConfig,
  cgroups: CgroupLayout,
  cgroupsPath: string,
): readonly ExternalMount[] {
  const hasNamespace = config.linux?.namespaces?.some(({ type }) => type === "cgroup") === true;
  if (cgroups.kind === "v2" || hasNamespace) return [];
  const mounts = (config.mounts ?? []).filter(({ type }) => type === "cgroup");
  const hierarchies = [...new Set(Object.values(cgroups.controllers))];
  return mounts.flatMap(({ destination }) =>
    hierarchies.map((mount) => ({
      inside: `${destination}/${mount.slice(mount.lastIndexOf("/") + 1)}`,
      source: `${mount}${cgroupsPath}`,
    })),
  );
}
