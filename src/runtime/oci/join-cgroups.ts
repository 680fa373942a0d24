/**
 * On cgroup v1 a container has cgroups only in the hierarchies that its config asked for. An update that needs another one
 * makes it and takes all processes of the container in.
 */
import type { CgroupLayout } from "../../kernel/index.ts";
import { isErrno, toGantryError } from "../../lib/index.ts";
import { controllerDir } from "../cgroup-dirs.ts";
import { cgroupPids } from "../cgroup-files.ts";
import type { CgroupIo } from "../cgroup-io.ts";
import { limitWrites } from "../cgroup-limits.ts";
import type { OciResources } from "../oci-types.ts";

/** Processes that are born while others are taken in are taken in by a further round; each round finds fewer. */
const mostRounds = 5;

/**
 * Makes what is missing for these limits. Returns the directories that it made.
 * @throws {GantryError} "exhausted", "denied" … when a cgroup cannot be made or entered; what was made is removed again
 */
export function joinMissingCgroups(
  io: CgroupIo,
  cgroups: CgroupLayout,
  cgroupsPath: string,
  resources: OciResources,
): readonly string[] {
  if (cgroups.kind === "v2") return [];
  const made: string[] = [];
  const wanted = new Set(limitWrites(cgroups, resources).writes.map(({ controller }) => controller));
  try {
    for (const controller of wanted) {
      const dir = controllerDir(cgroups, controller, cgroupsPath);
      if (dir === undefined || io.read(`${dir}/cgroup.procs`) !== undefined) continue;
      makeCgroup(io, cgroups.controllers[controller] ?? "", cgroupsPath, controller === "cpuset");
      made.push(dir);
      takeIn(io, cgroups, cgroupsPath, dir);
    }
  } catch (error) {
    leave(io, cgroupsPath, made);
    throw error;
  }
  return made;
}

/** Takes back what `joinMissingCgroups` made: the processes go to the hierarchy's root, where they were. */
export function leave(io: CgroupIo, cgroupsPath: string, made: readonly string[]): void {
  for (const dir of made) {
    moveAll(io, dir, dir.slice(0, dir.length - cgroupsPath.length));
    try {
      io.rmdir(dir);
    } catch {
      // EBUSY: a process was just born in it; delete removes it.
    }
  }
}

/** A cpuset without cpus and memory takes no process: each new one gets those of its parent. */
function makeCgroup(io: CgroupIo, mount: string, cgroupsPath: string, isCpuset: boolean): void {
  let dir = mount;
  for (const part of cgroupsPath.split("/").filter((name) => name !== "")) {
    const parent = dir;
    dir += `/${part}`;
    try {
      io.mkdir(dir);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw toGantryError(error, `make the cgroup ${dir}`);
    }
    if (!isCpuset) continue;
    for (const file of ["cpuset.cpus", "cpuset.mems"])
      if ((io.read(`${dir}/${file}`) ?? "").trim() === "")
        io.write(`${dir}/${file}`, (io.read(`${parent}/${file}`) ?? "").trim());
  }
}

// oxlint-disable-next-line max-params -- where from and where to
function takeIn(io: CgroupIo, cgroups: CgroupLayout, cgroupsPath: string, dir: string): void {
  const inside = new Set<number>();
  for (let round = 0; round < mostRounds; round++) {
    const fresh = cgroupPids(io, cgroups, cgroupsPath).filter((pid) => !inside.has(pid));
    if (fresh.length === 0) return;
    for (const pid of fresh) {
      move(io, pid, dir);
      inside.add(pid);
    }
  }
}

function moveAll(io: CgroupIo, from: string, to: string): void {
  for (const pid of (io.read(`${from}/cgroup.procs`) ?? "").split("\n"))
    if (pid !== "") move(io, Number(pid), to);
}

function move(io: CgroupIo, pid: number, dir: string): void {
  try {
    io.write(`${dir}/cgroup.procs`, String(pid));
  } catch (error) {
    // ESRCH: ended meanwhile.
    if (!isErrno(error, "ESRCH")) throw toGantryError(error, `move process ${pid} into the cgroup ${dir}`);
  }
}
