/** The container's cgroups as steps: made, limited, joined, removed. Pure. */
import { GantryError } from "../lib/index.ts";
import { type CgroupLayout, compileDeviceProgram } from "../kernel/index.ts";
import { interfaceOf, limitWrites } from "./cgroup-limits.ts";
import { deviceLine, deviceRules } from "./device-rules.ts";
import type { LimitWrite } from "./limit-write.ts";
import type { OciResources } from "./oci-types.ts";
import { hierarchies } from "./plan-cgroup-mount.ts";
import type { Because } from "./plan-input.ts";
import type { ContainerStep, MonitorStep } from "./plan-step.ts";

export interface CgroupInput {
  readonly cgroups: CgroupLayout;
  /** Below each hierarchy, such as `/gantry/ID`. */
  readonly cgroupsPath: string;
  readonly resources: OciResources;
  readonly because: Because;
  /** v2: the cgroup belongs to this user, the container's own root, who manages what lies below. */
  readonly owner?: number;
  /** systemd made the cgroup and those above, and decides which controllers they have. */
  readonly bySystemd?: boolean;
  /** An ordinary user's, who may decide on no device: no rules are set. */
  readonly unprivileged?: boolean;
}

export interface CgroupSteps {
  /** Before the child exists. */
  readonly before: readonly MonitorStep[];
  /** The child's first steps: it puts itself in (v1). */
  readonly enter: readonly ContainerStep[];
  /** After the clone: puts the child in (hybrid, a controller of the cgroup2 mount). */
  readonly join: readonly MonitorStep[];
  readonly teardown: readonly MonitorStep[];
  /** The v2 directory that the child is born in. */
  readonly intoCgroup?: string;
  readonly oomPath?: string;
  /** In whose hierarchies the container has a cgroup. */
  readonly controllers: readonly string[];
}

/** Used where they exist, limit or not: to account, to freeze, to deny devices. */
const always = ["memory", "cpu", "cpuacct", "pids", "devices", "freezer"] as const;
/** Where systemd keeps its units on v1 and hybrid. */
const systemdHierarchy = "name=systemd";
const dirMode = 0o755;

/** @throws {GantryError} "unsupported" naming each asked limit that this machine cannot set */
export function planCgroup(input: CgroupInput): CgroupSteps {
  const { cgroups } = input;
  const limits = limitWrites(cgroups, input.resources);
  const missing = [...limits.missing];
  for (const { controller, path, file } of limits.writes)
    if (!isThere(cgroups, controller))
      missing.push({
        path,
        why: `${file} needs the cgroup controller ${controller}, which this machine does not offer`,
      });
  if (missing.length > 0) throw lacking(missing);
  const needed = new Set([
    ...always,
    ...(lacksV1(cgroups) ? ["cgroup"] : []),
    ...(input.bySystemd === true ? [systemdHierarchy] : []),
    ...limits.writes.map(({ controller }) => controller),
  ]);
  const controllers = [...needed].filter((name) => isThere(cgroups, name));
  if (cgroups.kind === "v2") return planUnified(input, controllers, limits.writes);
  const v2 = controllers.filter((name) => name === "cgroup" || interfaceOf(cgroups, name) === "v2");
  const v1 = controllers.filter((name) => !v2.includes(name));
  const old = planV1(
    input,
    v1,
    limits.writes.filter(({ controller }) => v1.includes(controller)),
  );
  if (v2.length === 0) return old;
  // Hybrid, with a controller that only the cgroup2 mount has.
  const { intoCgroup = "", ...unified } = planUnified(
    input,
    v2,
    limits.writes.filter(({ controller }) => v2.includes(controller)),
  );
  return {
    ...unified,
    ...old,
    before: [...old.before, ...unified.before],
    join: [{ do: "join-cgroup", dir: intoCgroup, because: input.because(ownCgroup) }],
    teardown: [...old.teardown, ...unified.teardown],
    controllers,
  };
}

/** Hybrid without one of these v1 hierarchies: the cgroup2 mount decides on devices by a program, and freezes. */
function lacksV1({ kind, controllers }: CgroupLayout): boolean {
  return kind === "hybrid" && (controllers["devices"] === undefined || controllers["freezer"] === undefined);
}

function isThere(cgroups: CgroupLayout, controller: string): boolean {
  if (controller === "cgroup") return cgroups.unified !== undefined;
  return cgroups.controllers[controller] !== undefined;
}

function lacking(missing: readonly { readonly path: string; readonly why: string }[]): GantryError {
  const lines = missing.map(({ path, why }) => `${path}: ${why}`);
  return new GantryError("unsupported", [...new Set(lines)].join("; "), {
    hint: "leave the limit out, or enable the controller (kernel command line, or the hierarchy's mount)",
    fields: { path: missing[0]?.path ?? "" },
  });
}

const ownCgroup = "the default: each container has its own cgroup";

function planV1(
  input: CgroupInput,
  controllers: readonly string[],
  writes: readonly LimitWrite[],
): CgroupSteps {
  const { cgroups, cgroupsPath, because } = input;
  const dirs = [...hierarchies(cgroups, controllers).keys()].map((mount) => `${mount}${cgroupsPath}`);
  const before: MonitorStep[] = dirs.map((path) => makeDir(path, because(ownCgroup)));
  const cpuset = controllers.includes("cpuset") ? cgroups.controllers["cpuset"] : undefined;
  // A v1 cpuset starts empty, and so do its parents: no process can join before they are filled.
  if (cpuset !== undefined)
    before.push({
      do: "fill-cpuset",
      mount: cpuset,
      path: cgroupsPath,
      because: because("the limit on cpus or memory nodes", "linux.resources.cpu"),
    });
  for (const write of writes)
    before.push(limitStep(`${cgroups.controllers[write.controller] ?? ""}${cgroupsPath}`, write, because));
  const devices =
    controllers.includes("devices") && input.unprivileged !== true
      ? cgroups.controllers["devices"]
      : undefined;
  if (devices !== undefined) before.push(...deviceWrites(`${devices}${cgroupsPath}`, input));
  const memory = controllers.includes("memory") ? cgroups.controllers["memory"] : undefined;
  return {
    before,
    enter: dirs.map((dir) => ({ do: "enter-cgroup", dir, because: because(ownCgroup) })),
    join: [],
    teardown: dirs.map((dir) => ({ do: "remove-cgroup", dir, because: because(ownCgroup) })),
    ...(memory === undefined ? {} : { oomPath: `${memory}${cgroupsPath}/memory.oom_control` }),
    controllers,
  };
}

function deviceWrites(dir: string, input: CgroupInput): MonitorStep[] {
  return deviceRules(input.resources).map((rule) => ({
    do: "write-file",
    path: `${dir}/${rule.allow ? "devices.allow" : "devices.deny"}`,
    data: deviceLine(rule),
    because: input.because("the default list of devices", "linux.resources.devices"),
  }));
}

function planUnified(
  input: CgroupInput,
  controllers: readonly string[],
  writes: readonly LimitWrite[],
): CgroupSteps {
  const { cgroups, cgroupsPath, because } = input;
  const unified = cgroups.unified ?? "/sys/fs/cgroup";
  const dir = `${unified}${cgroupsPath}`;
  // Devices are eBPF programs and freezing is part of every cgroup on v2: neither is a controller to hand down.
  const handed = controllers.filter(
    (name) => name !== "cgroup" && name !== "devices" && name !== "freezer" && name !== "cpuacct",
  );
  const data = handed.map((name) => `+${name}`).join(" ");
  const before: MonitorStep[] = [];
  for (const parent of ["", ...ancestors(cgroupsPath)]) {
    if (parent !== "") before.push(makeDir(`${unified}${parent}`, because(ownCgroup)));
    if (data !== "")
      before.push({
        do: "write-file",
        path: `${unified}${parent}/cgroup.subtree_control`,
        data,
        because: because(ownCgroup),
        // systemd has handed down what its units need; the others may be closed to us.
        ...(input.bySystemd === true ? { optional: true } : {}),
      });
  }
  before.push(makeDir(dir, because(ownCgroup)));
  for (const write of writes) before.push(limitStep(dir, write, because));
  // A program of ours takes rights that an ordinary user does not have.
  if (cgroups.controllers["devices"] === undefined && input.unprivileged !== true)
    before.push({
      do: "cgroup-devices",
      dir,
      program: compileDeviceProgram(deviceRules(input.resources)),
      because: because("the default list of devices", "linux.resources.devices"),
    });
  if (input.owner !== undefined)
    before.push({
      do: "cgroup-owner",
      dir,
      uid: input.owner,
      because: because("the container's own cgroup namespace with a writable mount", "linux.namespaces"),
    });
  return {
    before,
    enter: [],
    join: [],
    teardown: [{ do: "remove-cgroup", dir, because: because(ownCgroup) }],
    intoCgroup: dir,
    ...(cgroups.controllers["memory"] === unified ? { oomPath: `${dir}/memory.events` } : {}),
    controllers,
  };
}

function makeDir(path: string, because: string): MonitorStep {
  return { do: "make-dir", path, mode: dirMode, parents: true, because };
}

function limitStep(dir: string, write: LimitWrite, because: Because): MonitorStep {
  const { file, value, path, otherwise = [], missingIsFine = false } = write;
  const why = because("the limits of the config", path, "linux.resources");
  if (otherwise.length === 0 && !missingIsFine)
    return { do: "write-file", path: `${dir}/${file}`, data: value, because: why };
  const ways = [{ file, value }, ...otherwise];
  return {
    do: "limit",
    dir,
    files: ways.map((way) => way.file),
    values: ways.map((way) => way.value),
    missingIsFine,
    because: why,
  };
}

/** `/a/b/c` → `/a`, `/a/b`. */
function ancestors(path: string): readonly string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return parts.slice(0, -1).map((_, index) => `/${parts.slice(0, index + 1).join("/")}`);
}
