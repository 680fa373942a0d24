/** What may be mounted on /proc and in it: else a volume there would fake the kernel's files (CVE-2019-16884). Pure. */
import { GantryError } from "../lib/index.ts";
import type { MountOptions } from "./mount-options.ts";
import type { OciMount } from "./oci-types.ts";

/** Files that lxcfs imitates; the list is runc's. */
const allowedFiles = new Set(
  [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
  ].map((name) => `/proc/${name}`),
);

/**
 * Whether the mount may lie in a procfs. This looks at the path as it is written; where links lead to is gantry-init's to
 * see: it mounts on no procfs without this permission.
 * @throws {GantryError} "invalid" when it lies there and must not
 */
export function isMountedInProc(mount: OciMount, inside: string, options: MountOptions): boolean {
  if (inside !== "/proc" && !inside.startsWith("/proc/")) return false;
  if (allowedFiles.has(inside) || options.remount) return true;
  const isBind = options.bind || mount.type === "bind";
  if (inside === "/proc" && (isBind || mount.type === "proc")) return true;
  const why =
    inside === "/proc"
      ? `"/proc" cannot be mounted because it is not of type proc`
      : `${JSON.stringify(inside)} cannot be mounted because it is inside /proc`;
  throw new GantryError("invalid", `the mount on ${mount.destination}: ${why}`, {
    fields: { path: "mounts" },
    hint: `choose another destination; in /proc only these files: ${[...allowedFiles].join(", ")}`,
  });
}
