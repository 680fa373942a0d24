/** Freezing and thawing a container's processes, on v1, hybrid and v2. */
import type { CgroupLayout } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import { controllerDir } from "./cgroup-dirs.ts";
import type { CgroupIo } from "./cgroup-io.ts";
import { writeControl } from "./cgroup-write.ts";

export const freezeDeadlineMs = 5_000;
export const freezePollMs = 5;

/** One attempt at a time, so that a caller may wait in its own way between them. */
export interface Freezer {
  /** Asks again and tells whether all stand still (or run). */
  reached(on: boolean): boolean;
  set(on: boolean): void;
}

/**
 * Freezes or thaws every process of the container; returns when all stand still (or run again).
 * @throws {GantryError} "unsupported" without a freezer, "timeout" when a process does not stop within 5 s (it is thawed)
 */
export function setFrozen(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string, on: boolean): void {
  const freezer = freezerOf(io, cgroups, cgroupsPath);
  freezer.set(on);
  for (let waited = 0; !freezer.reached(on); waited += freezePollMs) {
    if (waited > freezeDeadlineMs) throw notFrozen(freezer, on);
    io.sleep(freezePollMs);
  }
}

/** The error of a freeze that takes too long; what is half frozen is thawed. */
export function notFrozen(freezer: Freezer, on: boolean): GantryError {
  if (on) freezer.set(false);
  return new GantryError(
    "timeout",
    `the container did not ${on ? "freeze" : "thaw"} within ${freezeDeadlineMs / 1000} s`,
    {
      hint: "a process that waits in the kernel cannot be frozen; see the state D in: ps -eo pid,stat,wchan,args",
    },
  );
}

/** True when the container's processes stand still. */
export function isFrozen(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string): boolean {
  const where = freezerPlace(io, cgroups, cgroupsPath);
  return where !== undefined && isFrozenDir(io, where);
}

/** @throws {GantryError} "unsupported" when this machine cannot freeze */
export function freezerOf(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string): Freezer {
  const place = freezerPlace(io, cgroups, cgroupsPath);
  if (place === undefined)
    throw new GantryError(
      "unsupported",
      "this machine has no freezer cgroup, so that a container cannot be paused",
      { hint: "mount the freezer hierarchy: mount -t cgroup -o freezer cgroup /sys/fs/cgroup/freezer" },
    );
  const set = (on: boolean): void => {
    if (place.v2) writeControl(io, `${place.dir}/cgroup.freeze`, on ? "1" : "0");
    else writeControl(io, `${place.dir}/freezer.state`, on ? "FROZEN" : "THAWED");
  };
  return {
    set,
    reached(on) {
      if (isFrozenDir(io, place) === on) return true;
      // v1: a process that forked while the others were stopped is caught only by asking again.
      if (on && !place.v2) set(true);
      return false;
    },
  };
}

interface Place {
  readonly dir: string;
  readonly v2: boolean;
}

/** On hybrid without a v1 freezer the container's cgroup on the cgroup2 mount, when it has one there. */
function freezerPlace(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string): Place | undefined {
  const dir = controllerDir(cgroups, "freezer", cgroupsPath);
  if (dir !== undefined) return { dir, v2: cgroups.kind === "v2" };
  const unified = controllerDir(cgroups, "cgroup", cgroupsPath);
  if (unified === undefined || io.read(`${unified}/cgroup.freeze`) === undefined) return undefined;
  return { dir: unified, v2: true };
}

function isFrozenDir(io: CgroupIo, { dir, v2 }: Place): boolean {
  if (v2) return /^frozen 1$/m.test(io.read(`${dir}/cgroup.events`) ?? "");
  return io.read(`${dir}/freezer.state`)?.trim() === "FROZEN";
}
