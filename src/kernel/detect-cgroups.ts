/** The cgroups of this machine, for programs with node: gantry-oci reads them through its host. */
import { readFileSync } from "node:fs";
import { type CgroupLayout, parseCgroupLayout } from "./cgroups.ts";

/** The layout of this machine, as this process sees it. Reads /proc each time: keep the answer. */
export function detectCgroups(): CgroupLayout {
  return parseCgroupLayout(
    readFileSync("/proc/self/mountinfo", "utf8"),
    readFileSync("/proc/cgroups", "utf8"),
    (mountPoint) => readFileSync(`${mountPoint}/cgroup.controllers`, "utf8"),
  );
}
