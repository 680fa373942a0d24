/** Where the cgroup hierarchies of this machine are. @see cgroups(7) */
import { GantryError } from "../lib/index.ts";

export interface CgroupLayout {
  /** v1: one hierarchy a controller; hybrid: v1 and a cgroup2 mount beside it; v2: the unified hierarchy only. */
  readonly kind: "v1" | "hybrid" | "v2";
  /**
   * Controller to the mount point of its hierarchy; named v1 hierarchies as `name=systemd`. On v2 every controller of
   * cgroup.controllers to the unified mount point; on hybrid also those that the cgroup2 mount has.
   */
  readonly controllers: Readonly<Record<string, string>>;
  /** Mount point of cgroup2, if there is one. */
  readonly unified?: string;
}

interface CgroupMount {
  readonly version: 1 | 2;
  readonly mountPoint: string;
  readonly options: readonly string[];
}

/** Octal escapes of mountinfo: space, tab, newline, backslash. */
function unescapePath(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** `36 35 98:0 /root /point opts optional… - fstype source superOptions`, see proc_pid_mountinfo(5) */
function parseMount(line: string): CgroupMount | undefined {
  const [before = "", after = ""] = line.split(" - ", 2);
  const [fstype, , superOptions = ""] = after.split(" ");
  const [, , , , mountPoint = ""] = before.split(" ");
  if (fstype !== "cgroup" && fstype !== "cgroup2") return undefined;
  return {
    version: fstype === "cgroup" ? 1 : 2,
    mountPoint: unescapePath(mountPoint),
    options: superOptions.split(","),
  };
}

/** The names of /proc/cgroups whose `enabled` is 1. */
function enabledControllers(cgroups: string): ReadonlySet<string> {
  const rows = cgroups.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Set(
    rows
      .map((row) => row.split(/\s+/))
      .flatMap(([name, , , on]) => (on === "1" && name !== undefined ? [name] : [])),
  );
}

/**
 * The layout that these texts describe. Of several mounts of one hierarchy the first counts.
 * @param unifiedControllers the text of cgroup.controllers at a cgroup2 mount point
 * @throws {GantryError} "unsupported" when no cgroup file system is mounted
 */
export function parseCgroupLayout(
  mountinfo: string,
  cgroups: string,
  unifiedControllers: (mountPoint: string) => string,
): CgroupLayout {
  const mounts = mountinfo.split("\n").flatMap((line) => parseMount(line) ?? []);
  const enabled = enabledControllers(cgroups);
  const controllers: Record<string, string> = {};
  for (const { version, mountPoint, options } of mounts) {
    if (version === 2) continue;
    for (const option of options) {
      if (enabled.has(option) || option.startsWith("name=")) controllers[option] ??= mountPoint;
    }
  }
  const unified = mounts.find((mount) => mount.version === 2)?.mountPoint;
  const hasV1 = mounts.some((mount) => mount.version === 1);
  if (unified === undefined && !hasV1) {
    throw new GantryError("unsupported", "no cgroup file system is mounted", {
      hint: "mount one: mount -t cgroup2 none /sys/fs/cgroup",
    });
  }
  if (unified === undefined) return { kind: "v1", controllers };
  for (const name of unifiedControllers(unified).split(/\s+/)) if (name !== "") controllers[name] ??= unified;
  return { kind: hasV1 ? "hybrid" : "v2", controllers, unified };
}
