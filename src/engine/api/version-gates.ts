/** What a create request means in an older version of the API (moby, postContainersCreate). Pure. */
import type { HostConfig } from "../container.ts";
import { newestVersion } from "./router.ts";

export type ApiVersion = readonly [major: number, minor: number];

export const latest: ApiVersion = newestVersion;

export function isBefore([major, minor]: ApiVersion, [otherMajor, otherMinor]: ApiVersion): boolean {
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

/** What was given explicitly, where the record no more tells it from a default. */
export interface Given {
  readonly ipcMode: boolean;
  readonly cgroupnsMode: boolean;
  /** Bytes: a limit that no kernel since 5.16 keeps. */
  readonly kernelMemory: number;
}

/** @returns the settings with that version's defaults, without those that came later; and warnings */
export function gateHostConfig(
  host: HostConfig,
  given: Given,
  version: ApiVersion,
): { readonly host: HostConfig; readonly warnings: readonly string[] } {
  const before = (minor: number): boolean => isBefore(version, [1, minor]);
  const isKernelLimit = before(42) && given.kernelMemory > 0;
  return {
    host: {
      ...host,
      // Then the client removed it.
      ...(before(25) ? { AutoRemove: false } : {}),
      ...(before(40) ? { KernelMemoryTCP: 0 } : {}),
      ...(before(40) && !given.ipcMode ? { IpcMode: "shareable" } : {}),
      ...(before(41) && !given.cgroupnsMode ? { CgroupnsMode: "" } : {}),
      ...(before(42) ? { ConsoleSize: [0, 0] as const } : {}),
      ...(before(43) ? { Annotations: {} } : {}),
    },
    warnings: isKernelLimit
      ? [
          "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
        ]
      : [],
  };
}
