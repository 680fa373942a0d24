/** Removing a cgroup that may still hold processes and children of its own. */
import { readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";

const removeDeadlineMs = 5_000;
const retryMs = 10;

/**
 * Kills what lives in the cgroup and in those below it, then removes them all, deepest first. A missing one is fine.
 * @throws {GantryError} "conflict" when it is still in use after 5 s
 */
export async function removeCgroupDir(dir: string): Promise<void> {
  const until = performance.now() + removeDeadlineMs;
  while (!tryRemove(dir)) {
    if (performance.now() > until)
      throw new GantryError("conflict", `cgroup ${dir} is still in use after ${removeDeadlineMs / 1000} s`, {
        hint: "a process in it cannot be killed; see the state D in: ps -eo pid,stat,wchan,args",
      });
    killAll(dir);
    await Bun.sleep(retryMs);
  }
}

/** True when it is gone. */
function tryRemove(dir: string): boolean {
  let children: string[];
  try {
    children = readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return true;
    throw toGantryError(error, `remove cgroup ${dir}`);
  }
  const empty = children.map((child) => tryRemove(`${dir}/${child}`)).every(Boolean);
  if (!empty) return false;
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return true;
    if (isErrno(error, "EBUSY", "ENOTEMPTY")) return false;
    throw toGantryError(error, `remove cgroup ${dir}`);
  }
}

/** Sends SIGKILL to every process below `dir`; a v1 cgroup that is frozen must be thawed by the caller to let them die. */
export function killAll(dir: string): void {
  try {
    writeFileSync(`${dir}/cgroup.kill`, "1", { flag: "r+" });
    return;
  } catch (error) {
    // ENOENT: v1, or a kernel before 5.14, or the cgroup is gone. EOPNOTSUPP: a threaded one.
    if (!isErrno(error, "ENOENT", "ENODEV", "EOPNOTSUPP"))
      throw toGantryError(error, `kill the processes of ${dir}`);
  }
  for (const pid of pidsBelow(dir)) signalPid(pid);
}

/** All pids in the cgroup and in those below it; empty when it is gone. */
export function pidsBelow(dir: string): number[] {
  const pids: number[] = [];
  try {
    for (const line of readFileSync(`${dir}/cgroup.procs`, "utf8").split("\n"))
      if (line !== "") pids.push(Number(line));
    for (const entry of readdirSync(dir, { withFileTypes: true }))
      if (entry.isDirectory()) pids.push(...pidsBelow(`${dir}/${entry.name}`));
  } catch (error) {
    // ENOENT, ENODEV: removed meanwhile.
    if (!isErrno(error, "ENOENT", "ENODEV")) throw toGantryError(error, `read the processes of ${dir}`);
  }
  return pids;
}

function signalPid(pid: number): void {
  // 0: of a pid namespace that we cannot see; kill(0) would hit ourselves.
  if (pid <= 0) return;
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // ESRCH: ended meanwhile.
    if (!isErrno(error, "ESRCH")) throw toGantryError(error, `kill process ${pid}`);
  }
}
