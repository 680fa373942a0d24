/**
 * cgroup v1: a running container enters a hierarchy in which it had no cgroup, since nothing was limited there. It stays
 * until its end, when removeCgroup takes it away: its plan knows nothing of it.
 */
import type { CgroupLayout } from "../kernel/index.ts";
import { isErrno, toGantryError } from "../lib/index.ts";
import { cgroupDirs, controllerDir } from "./cgroup-dirs.ts";
import { pidsBelow } from "./cgroup-remove.ts";
import type { CgroupIo } from "./cgroup-io.ts";
import { interfaceOf } from "./cgroup-limits.ts";

/** A process may fork while it is moved: its children are found in the next round. */
const rounds = 32;

/** On v2, and where it is already in, there is nothing to do. @throws {GantryError} when a cgroup cannot be made or entered */
export function enterHierarchy(
  io: CgroupIo,
  cgroups: CgroupLayout,
  cgroupsPath: string,
  controller: string,
): void {
  const dir = controllerDir(cgroups, controller, cgroupsPath);
  if (dir === undefined || interfaceOf(cgroups, controller) === "v2") return;
  if (io.read(`${dir}/cgroup.procs`) !== undefined) return;
  // Its processes as another hierarchy has them.
  const known = cgroupDirs(io, cgroups, cgroupsPath)[0];
  if (known === undefined) return;
  try {
    makeCgroup(io, cgroups.controllers[controller] ?? "", cgroupsPath, controller === "cpuset");
    for (let round = 0; round < rounds; round++) {
      const inside = new Set((io.read(`${dir}/cgroup.procs`) ?? "").split("\n"));
      const outside = pidsBelow(io, known).filter((pid) => !inside.has(String(pid)));
      if (outside.length === 0) return;
      for (const pid of outside) moveProcess(io, dir, pid);
    }
  } catch (error) {
    throw toGantryError(error, `put the container into ${dir}`);
  }
}

function makeCgroup(io: CgroupIo, mount: string, path: string, isCpuset: boolean): void {
  let parent = mount;
  for (const name of path.split("/").filter((part) => part !== "")) {
    const child = `${parent}/${name}`;
    try {
      io.mkdir(child);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
    if (isCpuset) for (const file of ["cpuset.cpus", "cpuset.mems"]) inherit(io, parent, child, file);
    parent = child;
  }
}

/** A fresh cpuset has neither processors nor memory, and takes no process. */
function inherit(io: CgroupIo, parent: string, child: string, file: string): void {
  if ((io.read(`${child}/${file}`) ?? "").trim() !== "") return;
  io.write(`${child}/${file}`, (io.read(`${parent}/${file}`) ?? "").trim());
}

function moveProcess(io: CgroupIo, dir: string, pid: number): void {
  try {
    io.write(`${dir}/cgroup.procs`, String(pid));
  } catch (error) {
    // It has just ended.
    if (!isErrno(error, "ESRCH")) throw error;
  }
}
