/** Removing a cgroup that may still hold processes and children of its own. */
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";
import type { CgroupIo } from "./cgroup-io.ts";

export const removeDeadlineMs = 5_000;
const sigKill = 9;

/**
 * Kills what lives in the cgroup and in those below it, then removes them all, deepest first. A missing one is fine.
 * @throws {GantryError} "conflict" when it is still in use after 5 s
 */
export function removeCgroupDir(io: CgroupIo, dir: string): void {
  let waited = 0;
  for (let pause = 1; !tryRemove(io, dir); pause = Math.min(50, pause * 2)) {
    if (waited > removeDeadlineMs) throw stillInUse(dir);
    killAll(io, dir);
    io.sleep(pause);
    waited += pause;
  }
}

export function stillInUse(dir: string): GantryError {
  return new GantryError("conflict", `cgroup ${dir} is still in use after ${removeDeadlineMs / 1000} s`, {
    hint: "a process in it cannot be killed; see the state D in: ps -eo pid,stat,wchan,args",
  });
}

/** True when it is gone. */
export function tryRemove(io: CgroupIo, dir: string): boolean {
  try {
    if (io.removeDeep === undefined) io.rmdir(dir);
    else io.removeDeep(dir);
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return true;
    if (!isErrno(error, "EBUSY", "ENOTEMPTY")) throw toGantryError(error, `remove cgroup ${dir}`);
    if (io.removeDeep !== undefined) return false;
  }
  const gone = childrenOf(io, dir).map((child) => tryRemove(io, child));
  if (gone.length === 0 || !gone.every(Boolean)) return false;
  try {
    io.rmdir(dir);
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return true;
    if (isErrno(error, "EBUSY", "ENOTEMPTY")) return false;
    throw toGantryError(error, `remove cgroup ${dir}`);
  }
}

/** Kernel files of a cgroup, by far the most of what a listing shows; the names of child cgroups seldom look so. */
const controlFile = /^(?:tasks|notify_on_release|release_agent|[a-z_]+\.[a-zA-Z0-9_.]+)$/;

/** With a file's name behind it more is no path for the kernel; a container can make cgroups that deep all the same. */
const longestDir = 4000;

/** The cgroups right below. A name that looks like a control file counts when it has processes of its own to list. */
function childrenOf(io: CgroupIo, dir: string): readonly string[] {
  return (io.list(dir) ?? [])
    .filter((name) => dir.length + name.length < longestDir)
    .filter((name) => !controlFile.test(name) || io.read(`${dir}/${name}/cgroup.procs`) !== undefined)
    .map((name) => `${dir}/${name}`);
}

/** SIGKILL to every process below `dir`; a v1 cgroup that is frozen must be thawed by the caller to let them die. */
export function killAll(io: CgroupIo, dir: string): void {
  if (io.read(`${dir}/cgroup.events`) !== undefined)
    try {
      io.write(`${dir}/cgroup.kill`, "1");
      return;
    } catch (error) {
      // ENOENT: a kernel before 5.14, or the cgroup is gone. EOPNOTSUPP: a threaded one.
      if (!isErrno(error, "ENOENT", "ENODEV", "EOPNOTSUPP"))
        throw toGantryError(error, `kill the processes of ${dir}`);
    }
  for (const pid of pidsBelow(io, dir)) signalPid(io, pid, sigKill);
}

/** All pids in the cgroup and in those below it; empty when it is gone. */
export function pidsBelow(io: CgroupIo, top: string): number[] {
  const pids: number[] = [];
  for (const dirs = [top]; ;) {
    const dir = dirs.pop();
    if (dir === undefined) return pids;
    const own = io.read(`${dir}/cgroup.procs`);
    for (const line of (own ?? "").split("\n")) if (line !== "") pids.push(Number(line));
    if (own !== undefined) dirs.push(...[...childrenOf(io, dir)].reverse());
  }
}

function signalPid(io: CgroupIo, pid: number, signal: number): void {
  // 0: of a pid namespace that we cannot see; kill(0) would hit ourselves.
  if (pid <= 0) return;
  try {
    io.kill(pid, signal);
  } catch (error) {
    // ESRCH: ended meanwhile.
    if (!isErrno(error, "ESRCH")) throw toGantryError(error, `kill process ${pid}`);
  }
}
