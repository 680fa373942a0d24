/** `gantry-oci explain ID`: what was asked of the kernel for a container, and what it has now. */
import { GantryError } from "../../lib/index.ts";
import { explainPlan } from "../explain-plan.ts";
import { planContainer } from "../plan-container.ts";
import { cgroupReader, cgroupsPathOf, containerPids } from "./container-cgroups.ts";
import { configReasons } from "./config-reasons.ts";
import { ContainerDir, type StoredState } from "./container-dir.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { hostCgroups, tryReadText } from "./host-cgroups.ts";
import { type Json, jsonText } from "./json-text.ts";
import { type ShownState, shownState } from "./oci-state.ts";
import { planText, planValue } from "./plan.ts";
import { rightsInput, rootlessInput } from "./rootless.ts";

const namespaceFiles = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/** Files of the container's cgroups that hold a limit, as (controller, v1 file, v2 file, what it limits). */
const limits = [
  ["memory", "memory.limit_in_bytes", "memory.max", "memory"],
  ["memory", "memory.memsw.limit_in_bytes", "memory.swap.max", "swap"],
  ["memory", "memory.soft_limit_in_bytes", "memory.low", "memory reservation"],
  ["cpu", "cpu.shares", "cpu.weight", "cpu shares"],
  ["cpu", "cpu.cfs_quota_us", "cpu.max", "cpu quota"],
  ["cpu", "cpu.cfs_period_us", "", "cpu period"],
  ["cpu", "cpu.idle", "cpu.idle", "cpu idle"],
  ["cpuset", "cpuset.cpus", "cpuset.cpus", "cpus"],
  ["cpuset", "cpuset.mems", "cpuset.mems", "memory nodes"],
  ["pids", "pids.max", "pids.max", "processes"],
  ["blkio", "blkio.bfq.weight", "", "block I/O weight"],
  ["io", "", "io.weight", "block I/O weight"],
] as const;

export interface Present {
  readonly state: ShownState;
  readonly pids: readonly number[];
  readonly namespaces: Readonly<Record<string, string>>;
  /** Controllers (or "unified") and the cgroup of the first process, as the kernel tells it. */
  readonly cgroups: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
  readonly mounts: number;
}

export function explain({ global, flags }: VerbInput): number {
  const [id = ""] = expectWords("explain", flags, 1);
  const format = flags.text("format") ?? "text";
  if (format !== "text" && format !== "json")
    throw new GantryError("invalid", "invalid format option", {
      hint: "use --format text or --format json",
    });
  const dir = new ContainerDir(global.root, id);
  const stored = dir.read();
  const cgroups = hostCgroups();
  const { plan } = planContainer({
    config: stored.config,
    cgroups,
    hooks: { id, bundle: stored.bundle, rootfs: stored.rootfs, env: host.env },
    readText: tryReadText,
    systemdCgroup: stored.systemdCgroup === true,
    ...rootlessInput(),
    ...rightsInput(cgroups, cgroupsPathOf(stored), global.rootless),
    reasons: configReasons(stored.config),
  });
  const present = presentOf(dir, stored);
  print(
    format === "json"
      ? `${jsonText({ present: presentValue(present), plan: planValue(plan) }, "  ")}\n`
      : `${presentText(present)}\n${planText(explainPlan(plan))}`,
  );
  return 0;
}

function presentOf(dir: ContainerDir, stored: StoredState): Present {
  const state = shownState(dir, stored);
  const pids = containerPids(stored);
  const { pid } = state;
  return {
    state,
    pids,
    namespaces: pid === 0 ? {} : namespacesOf(pid),
    cgroups: pid === 0 ? {} : parseCgroupFile(tryReadText(`/proc/${pid}/cgroup`) ?? ""),
    limits: limitsOf(stored),
    mounts: pid === 0 ? 0 : countLines(tryReadText(`/proc/${pid}/mountinfo`) ?? ""),
  };
}

function namespacesOf(pid: number): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of namespaceFiles)
    try {
      const link = host.readlink(`/proc/${pid}/ns/${name}`);
      // The same as ours: shared with the host, or with who asks.
      const shared = link === host.readlink(`/proc/self/ns/${name}`);
      found[name] = `${link.replace(/^.*\[([0-9]+)\]$/, "$1")}${shared ? " (the host's)" : ""}`;
    } catch {
      // EACCES: a waiting gantry-init lets nobody look. ENOENT: a kernel without this kind, or the process has just ended.
    }
  return found;
}

/** `HIERARCHY:CONTROLLERS:PATH` lines; "unified" for v2. Pure. */
export function parseCgroupFile(text: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^[0-9]+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers !== undefined && path !== undefined)
      found[controllers === "" ? "unified" : controllers] = path;
  }
  return found;
}

function limitsOf(stored: StoredState): Readonly<Record<string, string>> {
  const read = cgroupReader(hostCgroups(), cgroupsPathOf(stored));
  const found: Record<string, string> = {};
  for (const [controller, v1, v2, name] of limits) {
    const value =
      (v1 === "" ? undefined : read(controller, v1)) ?? (v2 === "" ? undefined : read(controller, v2));
    if (value !== undefined && value.trim() !== "") found[name] = limitWord(value.trim());
  }
  return found;
}

/** v1 spells "no limit" as the largest number of pages, or as -1. Pure. */
export function limitWord(value: string): string {
  return value === "-1" || value === "max" || Number(value) > 2 ** 62 ? "unlimited" : value;
}

function countLines(text: string): number {
  return text.split("\n").filter((line) => line !== "").length;
}

function presentValue({ state, ...others }: Present): Json {
  return { state: { ...state }, ...others };
}

/** One line a value; nothing when there is none. */
function list(title: string, values: Readonly<Record<string, string>>): string {
  const rows = Object.entries(values).map(([key, value]) => `   ${key.padEnd(18)} ${value}\n`);
  return rows.length === 0 ? "" : `${title}:\n${rows.join("")}`;
}

/** Pure. */
export function presentText({ state, pids, namespaces, cgroups, limits: set, mounts }: Present): string {
  const alive =
    state.pid === 0 ? "" : `, first process ${state.pid}, ${pids.length} in all, ${mounts} mounts`;
  return [
    `Container ${state.id} is ${state.status}${alive}.\n`,
    `   bundle             ${state.bundle}\n`,
    `   root               ${state.rootfs}\n`,
    `   created            ${state.created}\n`,
    list("Namespaces", namespaces),
    list("Cgroups", cgroups),
    list("Limits", set),
  ].join("");
}
