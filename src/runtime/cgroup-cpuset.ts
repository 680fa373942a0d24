/** The cpus and memory nodes that cgroup v1 has to be told again for each new cpuset. */
import { readFileSync } from "node:fs";
import type { CgroupLayout } from "../kernel/index.ts";
import { toGantryError } from "../lib/index.ts";

/** What the root of the cpuset hierarchy has; undefined when there is no such controller. */
export function readCpuset(
  cgroups: CgroupLayout,
): { readonly cpus: string; readonly mems: string } | undefined {
  const mount = cgroups.controllers["cpuset"];
  if (mount === undefined) return undefined;
  try {
    const read = (file: string): string => readFileSync(`${mount}/${file}`, "utf8").trim();
    return { cpus: read("cpuset.cpus"), mems: read("cpuset.mems") };
  } catch (error) {
    throw toGantryError(error, `read the cpus of ${mount}`);
  }
}
