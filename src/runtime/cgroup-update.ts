/** Changing the limits of a running container. */
import type { CgroupLayout } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import { controllerDir } from "./cgroup-dirs.ts";
import type { CgroupIo } from "./cgroup-io.ts";
import { limitWrites, type LimitWrite } from "./cgroup-limits.ts";
import { writeControl } from "./cgroup-write.ts";
import type { OciResources } from "./oci-types.ts";

/**
 * Changes limits of a running container; what `resources` does not name stays.
 * @throws {GantryError} "unsupported" when this machine lacks the limit, "invalid" or "conflict" when the kernel refuses it
 */
export function updateResources(
  io: CgroupIo,
  cgroups: CgroupLayout,
  cgroupsPath: string,
  resources: OciResources,
): void {
  const { writes, missing } = limitWrites(cgroups, resources);
  const first = missing[0];
  if (first !== undefined)
    throw new GantryError("unsupported", `${first.path}: ${first.why}`, { fields: { path: first.path } });
  const dirOf = ({ controller, file, path }: LimitWrite): string => {
    const dir = controllerDir(cgroups, controller, cgroupsPath);
    if (dir === undefined)
      throw new GantryError(
        "unsupported",
        `${path}: ${file} needs the cgroup controller ${controller}, which this machine does not offer`,
      );
    return dir;
  };
  for (const write of orderForUpdate(writes, (other) => io.read(`${dirOf(other)}/${other.file}`)))
    writeControl(io, `${dirOf(write)}/${write.file}`, write.value);
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
