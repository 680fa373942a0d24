/** Working on the cgroups of a running container, for v1, hybrid and v2. Paths are as in `linux.cgroupsPath`. */
import { readFileSync, writeFileSync } from "node:fs";
import type { CgroupLayout } from "../kernel/index.ts";
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";
import { cgroupDirs, controllerDir } from "./cgroup-dirs.ts";
import { limitWrites, type LimitWrite } from "./cgroup-limits.ts";
import { killAll, pidsBelow, removeCgroupDir } from "./cgroup-remove.ts";
import type { OciResources } from "./oci-types.ts";

const freezeDeadlineMs = 5_000;
const freezePollMs = 5;

/**
 * Freezes or thaws every process of the container; resolves when all stand still (or run again).
 * @throws {GantryError} "unsupported" without a freezer, "timeout" when a process does not stop within 5 s (it is thawed)
 */
export async function setFrozen(cgroups: CgroupLayout, cgroupsPath: string, on: boolean): Promise<void> {
  const dir = freezerDir(cgroups, cgroupsPath);
  const v2 = cgroups.kind === "v2";
  const set = (frozen: boolean): void => {
    if (v2) writeControl(`${dir}/cgroup.freeze`, frozen ? "1" : "0");
    else writeControl(`${dir}/freezer.state`, frozen ? "FROZEN" : "THAWED");
  };
  const until = performance.now() + freezeDeadlineMs;
  set(on);
  while (isFrozenDir(dir, v2) !== on) {
    if (performance.now() > until) {
      if (on) set(false);
      throw new GantryError(
        "timeout",
        `the container did not ${on ? "freeze" : "thaw"} within ${freezeDeadlineMs / 1000} s`,
      );
    }
    await Bun.sleep(freezePollMs);
    // v1: a process that forked while the others were stopped is caught only by asking again.
    if (on && !v2) set(true);
  }
}

/** True when the container's processes stand still. */
export function isFrozen(cgroups: CgroupLayout, cgroupsPath: string): boolean {
  const dir = controllerDir(cgroups, "freezer", cgroupsPath);
  return dir !== undefined && isFrozenDir(dir, cgroups.kind === "v2");
}

function isFrozenDir(dir: string, v2: boolean): boolean {
  if (v2) return /^frozen 1$/m.test(tryRead(`${dir}/cgroup.events`) ?? "");
  return tryRead(`${dir}/freezer.state`)?.trim() === "FROZEN";
}

function freezerDir(cgroups: CgroupLayout, cgroupsPath: string): string {
  const dir = controllerDir(cgroups, "freezer", cgroupsPath);
  if (dir === undefined)
    throw new GantryError(
      "unsupported",
      "this machine has no freezer cgroup, so that a container cannot be paused",
      {
        hint: "mount the freezer hierarchy: mount -t cgroup -o freezer cgroup /sys/fs/cgroup/freezer",
      },
    );
  return dir;
}

/**
 * Changes limits of a running container; what `resources` does not name stays.
 * @throws {GantryError} "unsupported" when this machine lacks the limit, "invalid" or "conflict" when the kernel refuses it
 */
export function updateResources(cgroups: CgroupLayout, cgroupsPath: string, resources: OciResources): void {
  const { writes, missing } = limitWrites(cgroups, resources);
  const first = missing[0];
  if (first !== undefined)
    throw new GantryError("unsupported", `${first.path}: ${first.why}`, { fields: { path: first.path } });
  const dirOf = ({ controller, file, path }: LimitWrite): string => {
    const dir = controller === "cgroup" ? cgroups.unified : controllerDir(cgroups, controller, cgroupsPath);
    if (dir === undefined)
      throw new GantryError(
        "unsupported",
        `${path}: ${file} needs the cgroup controller ${controller}, which this machine does not offer`,
      );
    return controller === "cgroup" ? `${dir}${cgroupsPath}` : dir;
  };
  for (const write of orderForUpdate(writes, (other) => tryRead(`${dirOf(other)}/${other.file}`)))
    writeControl(`${dirOf(write)}/${write.file}`, write.value);
}

/** v1 keeps memory plus swap at or above memory at any moment: when memory grows past the present sum, the sum goes first. */
function orderForUpdate(
  writes: readonly LimitWrite[],
  present: (write: LimitWrite) => string | undefined,
): readonly LimitWrite[] {
  const memory = writes.find(({ file }) => file === "memory.limit_in_bytes");
  const sum = writes.find(({ file }) => file === "memory.memsw.limit_in_bytes");
  if (memory === undefined || sum === undefined) return writes;
  const grows = Number(memory.value) < 0 || Number(memory.value) > Number(present(sum) ?? 0);
  return grows ? [sum, memory, ...writes.filter((write) => write !== memory && write !== sum)] : writes;
}

/** Every pid of the container, on the host; empty when it has no cgroup any more. */
export function cgroupPids(cgroups: CgroupLayout, cgroupsPath: string): readonly number[] {
  const dir = cgroupDirs(cgroups, cgroupsPath)[0];
  return dir === undefined ? [] : [...new Set(pidsBelow(dir))];
}

/** Sends SIGKILL to every process of the container, frozen ones too. */
export async function killCgroup(cgroups: CgroupLayout, cgroupsPath: string): Promise<void> {
  for (const dir of cgroupDirs(cgroups, cgroupsPath)) killAll(dir);
  if (isFrozen(cgroups, cgroupsPath)) await setFrozen(cgroups, cgroupsPath, false);
}

/**
 * Kills what is left and removes all cgroups of the container; a missing one is fine.
 * @throws {GantryError} "conflict" when one is still in use after 5 s
 */
export async function removeCgroup(cgroups: CgroupLayout, cgroupsPath: string): Promise<void> {
  await killCgroup(cgroups, cgroupsPath);
  for (const dir of cgroupDirs(cgroups, cgroupsPath)) await removeCgroupDir(dir);
}

/** The content of a control file; undefined when it, or its cgroup, is not there. */
export function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // EOPNOTSUPP: a file that this configuration of the kernel shows but does not fill.
    if (isErrno(error, "ENOENT", "ENODEV", "EOPNOTSUPP")) return undefined;
    throw toGantryError(error, `read ${path}`);
  }
}

function writeControl(path: string, value: string): void {
  try {
    // r+: a control file is never created.
    writeFileSync(path, value, { flag: "r+" });
  } catch (error) {
    if (isErrno(error, "ENOENT"))
      throw new GantryError(
        "not-found",
        `there is no ${path}: the container is not running, or the kernel lacks this control`,
        { cause: error },
      );
    if (isErrno(error, "EINVAL", "ERANGE", "E2BIG"))
      throw new GantryError("invalid", `write ${JSON.stringify(value)} to ${path}: invalid argument`, {
        cause: error,
      });
    throw toGantryError(error, `write ${JSON.stringify(value)} to ${path}`);
  }
}
