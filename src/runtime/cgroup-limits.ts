/** OCI resources as writes to cgroup files, for each kernel interface (cgroup-v1, cgroup-v2 of the kernel's docs). Pure. */
import type { CgroupLayout } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import { cpuV1, cpuV2 } from "./cgroup-limits-cpu.ts";
import { blockIoV1, blockIoV2 } from "./cgroup-limits-io.ts";
import { memoryV1, memoryV2 } from "./cgroup-limits-memory.ts";
import type { LimitPart, LimitWrite, MissingLimit } from "./limit-write.ts";
import type { OciResources } from "./oci-types.ts";

export interface LimitWrites {
  /** In the order in which a fresh cgroup takes them. */
  readonly writes: readonly LimitWrite[];
  readonly missing: readonly MissingLimit[];
}

export type CgroupInterface = "v1" | "v2";

/** Which files a controller has here; on hybrid layouts the two kinds stand side by side. */
export function interfaceOf(cgroups: CgroupLayout, controller: string): CgroupInterface {
  if (cgroups.kind === "v2") return "v2";
  const mount = cgroups.controllers[controller];
  return mount !== undefined && mount === cgroups.unified ? "v2" : "v1";
}

/** @throws {GantryError} "invalid" for a value that no machine could take, with its path */
export function limitWrites(cgroups: CgroupLayout, resources: OciResources = {}): LimitWrites {
  const onV1 = (controller: string): boolean => interfaceOf(cgroups, controller) === "v1";
  const writes: LimitWrite[] = [];
  const missing: MissingLimit[] = [];
  const part = (name: string): LimitPart => partOf(`linux.resources.${name}`, writes, missing);
  const { memory, cpu, pids, blockIO, hugepageLimits = [], rdma } = resources;
  if (memory !== undefined) (onV1("memory") ? memoryV1 : memoryV2)(memory, part("memory"));
  if (cpu !== undefined) (onV1("cpu") ? cpuV1 : cpuV2)(cpu, part("cpu"));
  if (pids !== undefined) part("pids").write("pids", "pids.max", pidsMax(pids.limit));
  const blkio = cgroups.kind !== "v2" && cgroups.controllers["io"] === undefined;
  if (blockIO !== undefined) (blkio ? blockIoV1 : blockIoV2)(blockIO, part("blockIO"));
  const suffix = onV1("hugetlb") ? "limit_in_bytes" : "max";
  for (const { pageSize, limit } of hugepageLimits) {
    const target = part("hugepageLimits");
    target.write("hugetlb", `hugetlb.${pageSize}.${suffix}`, limit);
    // What is reserved but not yet touched counts too, where the kernel counts it (5.7).
    target.write("hugetlb", `hugetlb.${pageSize}.rsvd.${suffix}`, limit, { missingIsFine: true });
  }
  for (const [device, limits] of Object.entries(rdma ?? {}))
    part("rdma").write("rdma", "rdma.max", rdmaLine(device, limits));
  network(cgroups, resources, part("network"));
  unified(cgroups, resources, part("unified"));
  return { writes, missing };
}

/** 0 is the strictest limit that systemd, too, can set: the container's first process and no other (runc 1.4). */
function pidsMax(limit: number): string | number {
  if (limit < 0) return "max";
  return Math.max(1, limit);
}

function network(cgroups: CgroupLayout, { network: asked }: OciResources, part: LimitPart): void {
  const { classID, priorities = [] } = asked ?? {};
  if (cgroups.kind === "v2") {
    if (classID !== undefined) part.lacks("classID", "cgroup v2 has no net_cls");
    if (priorities.length > 0) part.lacks("priorities", "cgroup v2 has no net_prio");
    return;
  }
  part.write("net_cls", "net_cls.classid", classID);
  for (const { name, priority } of priorities)
    part.write("net_prio", "net_prio.ifpriomap", `${name} ${priority}`);
}

/** Files of cgroup v2 by their names, each line of a value written on its own, as such files take them. */
function unified(cgroups: CgroupLayout, { unified: files }: OciResources, part: LimitPart): void {
  for (const [file, value] of Object.entries(files ?? {})) {
    if (file.includes("/")) part.wrong(file, "it must be the name of a file, without a slash");
    const dot = file.indexOf(".");
    if (dot <= 0) part.wrong(file, "it must be CONTROLLER.PARAMETER, such as memory.high");
    const controller = file.slice(0, dot);
    if (controller !== "cgroup" && interfaceOf(cgroups, controller) === "v1")
      part.lacks(
        file,
        "invalid configuration: it needs cgroup v2, and this machine has the controller on v1 or not at all",
      );
    else for (const line of linesOf(value)) part.write(controller, file, line);
  }
}

function linesOf(value: string): readonly string[] {
  const lines = value.split("\n").filter((line) => line.trim() !== "");
  return lines.length === 0 ? [value] : lines;
}

function partOf(path: string, writes: LimitWrite[], missing: MissingLimit[]): LimitPart {
  return {
    write(controller, file, value, more = {}) {
      if (value !== undefined) writes.push({ controller, file, value: String(value), path, ...more });
    },
    lacks: (field, why) => void missing.push({ path: `${path}.${field}`, why }),
    wrong(field, why) {
      throw new GantryError("invalid", `${path}.${field}: ${why}`, { fields: { path: `${path}.${field}` } });
    },
  };
}

function rdmaLine(
  device: string,
  limits: { readonly hcaHandles?: number; readonly hcaObjects?: number },
): string {
  const words = [device];
  if (limits.hcaHandles !== undefined) words.push(`hca_handle=${limits.hcaHandles}`);
  if (limits.hcaObjects !== undefined) words.push(`hca_object=${limits.hcaObjects}`);
  return words.join(" ");
}
