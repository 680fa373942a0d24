/** In which cgroup hierarchies somebody without all rights may make a cgroup. Pure. */
import { GantryError } from "../lib/index.ts";
import type { CgroupLayout } from "../kernel/index.ts";
import { limitWrites } from "./cgroup-limits.ts";
import type { OciResources } from "./oci-types.ts";

export interface CgroupRights {
  /** The hierarchies in which the container gets a cgroup: those delegated to us. */
  readonly usable: CgroupLayout;
  /** None at all: the container stays in the cgroups of who starts it. */
  readonly isNone: boolean;
}

/**
 * @param mayWrite whether a directory exists and may be written to; undefined when it does not exist
 */
export function cgroupRights(
  cgroups: CgroupLayout,
  cgroupsPath: string,
  mayWrite: (dir: string) => boolean | undefined,
): CgroupRights {
  const known = new Map<string, boolean>();
  const isUsable = (mount: string): boolean => {
    const answer = known.get(mount) ?? nearest(mount, cgroupsPath, mayWrite);
    known.set(mount, answer);
    return answer;
  };
  const controllers = Object.fromEntries(
    Object.entries(cgroups.controllers).filter(([, mount]) => isUsable(mount)),
  );
  const unified =
    cgroups.unified !== undefined && isUsable(cgroups.unified) ? { unified: cgroups.unified } : {};
  const isNone = Object.keys(controllers).length === 0 && unified.unified === undefined;
  // A layout of v1 without hierarchies asks for nothing.
  const kind = cgroups.kind === "v1" || unified.unified === undefined ? "v1" : cgroups.kind;
  return { usable: { kind, controllers, ...unified }, isNone };
}

/** The cgroup itself, or the closest of its parents that exists, decides. */
function nearest(
  mount: string,
  cgroupsPath: string,
  mayWrite: (dir: string) => boolean | undefined,
): boolean {
  const parts = cgroupsPath.split("/").filter((part) => part !== "");
  for (let depth = parts.length; depth >= 0; depth--) {
    const answer = mayWrite([mount, ...parts.slice(0, depth)].join("/"));
    if (answer !== undefined) return answer;
  }
  return false;
}

/**
 * A cgroup that nobody asked to limit can be left out; a limit cannot.
 * @throws {GantryError} "denied" naming every limit in whose hierarchy nothing may be made
 */
export function refuseUndelegated(
  cgroups: CgroupLayout,
  rights: CgroupRights,
  resources: OciResources,
): void {
  const refused = limitWrites(cgroups, resources).writes.filter(
    ({ controller }) =>
      (controller === "cgroup" ? cgroups.unified : cgroups.controllers[controller]) !== undefined &&
      (controller === "cgroup" ? rights.usable.unified : rights.usable.controllers[controller]) === undefined,
  );
  if (refused.length === 0) return;
  const lines = refused.map(
    ({ controller, path }) =>
      `${path}: needs a cgroup with the controller ${controller}, and none is delegated to you`,
  );
  throw new GantryError("denied", [...new Set(lines)].join("; "), {
    hint: "leave the limit out, or have root give you a cgroup (its directory, cgroup.procs and tasks) and name it in linux.cgroupsPath",
    fields: { path: refused[0]?.path ?? "" },
  });
}
