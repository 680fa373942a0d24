/** The cpus and memory nodes that cgroup v1 has to be told again for each new cpuset. */
import type { CgroupLayout } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";

/** What the root of the cpuset hierarchy has; undefined when there is no such controller. */
export function readCpuset(
  cgroups: CgroupLayout,
  read: (path: string) => string | undefined,
): { readonly cpus: string; readonly mems: string } | undefined {
  const mount = cgroups.controllers["cpuset"];
  if (mount === undefined) return undefined;
  const textOf = (file: string): string => {
    const text = read(`${mount}/${file}`);
    if (text === undefined) throw new GantryError("unavailable", `${mount}/${file} cannot be read`);
    return text.trim();
  };
  return { cpus: textOf("cpuset.cpus"), mems: textOf("cpuset.mems") };
}
