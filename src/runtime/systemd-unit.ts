/** The names of systemd's units for containers: `slice:prefix:name` of the config, and where their cgroup is. Pure. */
import { GantryError } from "../lib/index.ts";

export interface SystemdScope {
  /** `docker-ID.scope`; a name that ends in .slice is itself the unit. */
  readonly unit: string;
  readonly slice: string;
  /** Below the hierarchies, as `linux.cgroupsPath` without systemd. */
  readonly path: string;
}

export interface SystemdScopeInput {
  /** `linux.cgroupsPath`; empty: the default slice and `gantry-oci-ID.scope`. */
  readonly cgroupsPath: string;
  readonly id: string;
  /** The user's own systemd runs units below its own cgroup, which is this. */
  readonly user?: { readonly managerCgroup: string };
}

/** @throws {GantryError} "invalid" for a path that is not `slice:prefix:name`, or a slice that is none */
export function systemdScope({ cgroupsPath, id, user }: SystemdScopeInput): SystemdScope {
  const parts = cgroupsPath === "" ? ["", "gantry-oci", id] : cgroupsPath.split(":");
  const [given = "", prefix = "", name = ""] = parts;
  if (parts.length !== 3 || name === "" || /[/\s]/.test(`${prefix}${name}`))
    throw invalid(
      `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got ${JSON.stringify(cgroupsPath)} instead`,
    );
  const slice = given === "" ? (user === undefined ? "system.slice" : "user.slice") : given;
  const unit = name.endsWith(".slice") ? name : `${prefix}-${name}.scope`;
  const top = (user?.managerCgroup ?? "").replace(/\/+$/, "");
  const parent = expandSlice(slice);
  return { unit, slice, path: `${top}${parent === "/" ? "" : parent}/${unit}` };
}

/** `a-b-c.slice` is in `a-b.slice`, which is in `a.slice`. `-.slice` is the root. */
export function expandSlice(slice: string): string {
  const name = slice.endsWith(".slice") ? slice.slice(0, -".slice".length) : "";
  if (name === "-") return "/";
  const words = name.split("-");
  if (slice.includes("/") || words.includes("")) throw invalid(`invalid slice name: ${slice}`);
  return words.map((_, index) => `/${words.slice(0, index + 1).join("-")}.slice`).join("");
}

function invalid(why: string): GantryError {
  return new GantryError("invalid", `linux.cgroupsPath: ${why}`, {
    hint: 'use "system.slice:gantry-oci:NAME", or leave --systemd-cgroup out',
    fields: { path: "linux.cgroupsPath" },
  });
}
