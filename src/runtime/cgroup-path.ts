/** Where a container is among the cgroups, and its id after that. Pure; apart, because `exec` needs no more of the planner. */
import { GantryError } from "../lib/index.ts";
import type { OciConfig } from "./oci-types.ts";

/** @throws {GantryError} "invalid" when the config has none, or one that leads out of the hierarchy */
export function cgroupsPathOf(config: OciConfig): string {
  const path = config.linux?.cgroupsPath ?? "";
  const parts = path.split("/").filter((part) => part !== "");
  if (!path.startsWith("/") || parts.length === 0 || parts.some((part) => part === "." || part === ".."))
    throw new GantryError(
      "invalid",
      `linux.cgroupsPath: ${JSON.stringify(path)} is not an absolute path below the hierarchies`,
      { hint: 'use a path such as "/gantry/ID"' },
    );
  return `/${parts.join("/")}`;
}

/** The last part of the path of its cgroup. */
export function idOf(config: OciConfig): string {
  return cgroupsPathOf(config).split("/").at(-1) ?? "";
}
