/** Changing the limits of a running container. */
import { type CgroupLayout, compileDeviceProgram } from "../kernel/index.ts";
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";
import { controllerDir } from "./cgroup-dirs.ts";
import type { CgroupIo } from "./cgroup-io.ts";
import { interfaceOf, limitWrites } from "./cgroup-limits.ts";
import { writeControl } from "./cgroup-write.ts";
import { deviceLine, deviceRules } from "./device-rules.ts";
import type { LimitWrite } from "./limit-write.ts";
import type { OciMemory, OciResources } from "./oci-types.ts";

/**
 * Changes limits of a running container; what `resources` does not name stays. Device rules replace all there were.
 * @throws {GantryError} "unsupported" when this machine lacks the limit, "invalid" or "conflict" when the kernel refuses it,
 * or when memory.checkBeforeUpdate is set and more is in use than the new limit
 */
export function updateResources(
  io: CgroupIo,
  cgroups: CgroupLayout,
  cgroupsPath: string,
  asked: OciResources,
): void {
  const resources = withPresentMemory(io, cgroups, cgroupsPath, asked);
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
  // All directories are looked up before anything is changed.
  const planned = writes.map((write) => ({ write, dir: dirOf(write) }));
  if (resources.memory?.checkBeforeUpdate === true)
    refuseBelowUsage(io, cgroups, cgroupsPath, resources.memory);
  const memoryDir = controllerDir(cgroups, "memory", cgroupsPath);
  const sum = memoryDir === undefined ? undefined : io.read(`${memoryDir}/memory.memsw.limit_in_bytes`);
  writeAll(io, orderForUpdate(planned, Number(sum ?? 0)));
  if (asked.devices !== undefined) updateDevices(io, cgroups, cgroupsPath, asked);
}

interface PlannedWrite {
  readonly write: LimitWrite;
  readonly dir: string;
}

/** v2 needs the memory limit to know how much swap a sum leaves: the present one, when the change has none. */
function withPresentMemory(
  io: CgroupIo,
  cgroups: CgroupLayout,
  cgroupsPath: string,
  resources: OciResources,
): OciResources {
  const { memory } = resources;
  if (memory === undefined || (memory.swap ?? 0) <= 0 || (memory.limit ?? 0) !== 0) return resources;
  if (interfaceOf(cgroups, "memory") === "v1") return resources;
  const present = io.read(`${controllerDir(cgroups, "memory", cgroupsPath) ?? ""}/memory.max`)?.trim();
  if (present === undefined || present === "") return resources;
  return { ...resources, memory: { ...memory, limit: present === "max" ? -1 : Number(present) } };
}

/** v1 keeps memory plus swap at or above memory at any moment: when memory grows past the present sum, the sum goes first. */
function orderForUpdate(writes: readonly PlannedWrite[], presentSum: number): readonly PlannedWrite[] {
  const memory = writes.find(({ write }) => write.file === "memory.limit_in_bytes");
  const sum = writes.find(({ write }) => write.file === "memory.memsw.limit_in_bytes");
  if (memory === undefined || sum === undefined) return writes;
  const wanted = Number(memory.write.value);
  if (wanted >= 0 && wanted <= presentSum) return writes;
  return [sum, memory, ...writes.filter((other) => other !== memory && other !== sum)];
}

/**
 * Quota, period and burst of the cpu must fit each other after every single write: one that is refused is written once
 * more when the others stand.
 */
function writeAll(io: CgroupIo, writes: readonly PlannedWrite[]): void {
  const again: PlannedWrite[] = [];
  for (const planned of writes)
    try {
      writeLimit(io, planned);
    } catch (error) {
      if (!(planned.write.controller === "cpu" && error instanceof GantryError && error.code === "invalid"))
        throw error;
      again.push(planned);
    }
  for (const planned of again) writeLimit(io, planned);
}

function writeLimit(io: CgroupIo, { write, dir }: PlannedWrite): void {
  const ways = [{ file: write.file, value: write.value }, ...(write.otherwise ?? [])];
  const there =
    ways.length > 1 || write.missingIsFine === true
      ? ways.find(({ file }) => io.read(`${dir}/${file}`) !== undefined)
      : ways[0];
  if (there === undefined && write.missingIsFine === true) return;
  const { file, value } = there ?? { file: write.file, value: write.value };
  if (file !== "memory.limit_in_bytes") return writeControl(io, `${dir}/${file}`, value);
  try {
    io.write(`${dir}/${file}`, value);
  } catch (error) {
    if (!isErrno(error, "EBUSY")) throw toGantryError(error, `write ${value} to ${dir}/${file}`);
    const figure = (name: string): string => io.read(`${dir}/${name}`)?.trim() ?? "unknown";
    throw new GantryError(
      "conflict",
      `unable to set memory limit to ${value} (current usage: ${figure("memory.usage_in_bytes")}, peak usage: ${figure("memory.max_usage_in_bytes")})`,
      { cause: error, hint: "the limit is below what the container uses and cannot give back" },
    );
  }
}

function refuseBelowUsage(
  io: CgroupIo,
  cgroups: CgroupLayout,
  cgroupsPath: string,
  { limit = 0, swap = 0 }: OciMemory,
): void {
  const dir = controllerDir(cgroups, "memory", cgroupsPath) ?? "";
  const v1 = interfaceOf(cgroups, "memory") === "v1";
  const used = (file: string): number => Number(io.read(`${dir}/${file}`) ?? 0);
  const memory = used(v1 ? "memory.usage_in_bytes" : "memory.current");
  if (limit > 0 && memory > limit)
    throw new GantryError("conflict", `rejecting memory limit ${limit} < usage ${memory}`, {
      fields: { path: "linux.resources.memory.limit" },
    });
  const both = v1 ? used("memory.memsw.usage_in_bytes") : memory + used("memory.swap.current");
  if (swap > 0 && both > swap)
    throw new GantryError("conflict", `rejecting memory+swap limit ${swap} < usage ${both}`, {
      fields: { path: "linux.resources.memory.swap" },
    });
}

/** On v1 rule by rule: all is denied for the moments in between, which is on the safe side. */
function updateDevices(
  io: CgroupIo,
  cgroups: CgroupLayout,
  cgroupsPath: string,
  resources: OciResources,
): void {
  const rules = deviceRules(resources);
  const v1 = cgroups.kind === "v2" ? undefined : controllerDir(cgroups, "devices", cgroupsPath);
  if (v1 !== undefined)
    return rules.forEach((rule) =>
      writeControl(io, `${v1}/${rule.allow ? "devices.allow" : "devices.deny"}`, deviceLine(rule)),
    );
  const dir = controllerDir(cgroups, "cgroup", cgroupsPath);
  if (dir === undefined || io.setDeviceProgram === undefined)
    throw new GantryError(
      "unsupported",
      "linux.resources.devices: the rules of a running container cannot be changed here",
    );
  io.setDeviceProgram(dir, compileDeviceProgram(rules));
}
