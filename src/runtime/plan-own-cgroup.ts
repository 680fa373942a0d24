/** What of a config concerns its cgroup: where it is, who owns it, its limits. Pure. */
import type { OciConfig, OciIdMapping } from "./oci-types.ts";
import { refuseUndelegated } from "./cgroup-rights.ts";
import { cgroupsPathOf } from "./cgroup-path.ts";
import { type CgroupSteps, planCgroup } from "./plan-cgroup.ts";
import type { Because, ContainerPlanInput } from "./plan-input.ts";
import type { MonitorStep } from "./plan-step.ts";
import { planRdt } from "./plan-rdt.ts";

/** The container's cgroups, and its resctrl group. @throws {GantryError} naming the field that cannot be kept */
export function planOwnCgroup(input: ContainerPlanInput, because: Because): CgroupSteps {
  const { config, cgroups } = input;
  const owner = cgroups.kind === "v2" ? ownerOf(config) : undefined;
  const rights = input.cgroupRights;
  if (rights !== undefined) refuseUndelegated(cgroups, rights, config.linux?.resources ?? {});
  const cgroup = planCgroup({
    cgroups: rights?.usable ?? cgroups,
    cgroupsPath: cgroupsPathOf(config),
    resources: config.linux?.resources ?? {},
    because,
    ...(owner === undefined ? {} : { owner }),
    ...(input.systemdCgroup === true ? { bySystemd: true } : {}),
    ...(rights === undefined ? {} : { unprivileged: true }),
  });
  const rdt = planRdt({
    rdt: config.linux?.intelRdt,
    id: input.hooks?.id ?? cgroupsPathOf(config).split("/").pop() ?? "",
    because,
    readText: input.readText ?? (() => undefined),
  });
  return {
    ...cgroup,
    before: [...cgroup.before, ...warmSteps(input), ...rdt.before],
    enter: [...cgroup.enter, ...rdt.enter],
    teardown: [...cgroup.teardown, ...rdt.teardown],
  };
}

/**
 * runc's rule for handing over a v2 cgroup: the container has its own cgroup namespace and may write to its mount. The
 * owner is the host's id of the process's user; root itself needs nothing.
 */
function ownerOf({ linux, mounts, process }: OciConfig): number | undefined {
  const own = linux?.namespaces?.some(({ type, path = "" }) => type === "cgroup" && path === "") === true;
  const writable = (mounts ?? []).some(
    ({ type, destination, options = [] }) =>
      (type === "cgroup" || type === "cgroup2") &&
      destination.replace(/\/+$/, "") === "/sys/fs/cgroup" &&
      !options.includes("ro"),
  );
  if (!own || !writable) return undefined;
  const uid = hostId(linux?.uidMappings ?? [], process?.user?.uid ?? 0);
  return uid === 0 ? undefined : uid;
}

function hostId(maps: readonly OciIdMapping[], id: number): number | undefined {
  if (maps.length === 0) return id;
  const map = maps.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  return map === undefined ? undefined : map.hostID + (id - map.containerID);
}

/** Below it the kernel's reading ahead of the program itself may not fit. */
const smallBytes = 4 << 20;
const standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What the monitor reads is not on the container's account. A root that is mounted later cannot be read yet. */
function warmSteps({ config, overlay }: ContainerPlanInput): readonly MonitorStep[] {
  const { limit = 0 } = config.linux?.resources?.memory ?? {};
  const [program = ""] = config.process?.args ?? [];
  const root = config.root?.path ?? "";
  if (limit <= 0 || limit > smallBytes || overlay !== undefined || program === "" || root === "") return [];
  const variable = (config.process?.env ?? []).find((entry) => entry.startsWith("PATH="));
  const dirs = (variable?.slice("PATH=".length) ?? standardPath).split(":").filter((dir) => dir !== "");
  const files = program.includes("/") ? [program] : dirs.map((dir) => `${dir}/${program}`);
  return [{ do: "warm-program", root, files, because: "linux.resources.memory.limit is small" }];
}
