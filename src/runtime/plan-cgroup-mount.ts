/** The mount of type cgroup: what a container sees in /sys/fs/cgroup (runtime-spec config-linux.md). Pure. */
import { type CgroupLayout, mountFlags } from "../kernel/index.ts";
import type { MountOptions } from "./mount-options.ts";
import type { OciConfig } from "./oci-types.ts";
import type { MountSteps } from "./plan-mounts.ts";
import type { ContainerStep } from "./plan-step.ts";

export interface CgroupMountInput {
  readonly inside: string;
  readonly options: MountOptions;
  readonly because: string;
  readonly config: OciConfig;
  readonly cgroups: CgroupLayout;
  readonly controllers: readonly string[];
}

/**
 * v2: a cgroup2 mount, which shows the container's cgroup as its root. v1: a tmpfs with one mount a hierarchy in which
 * the container has its own cgroup; the others would show the host's. Without a cgroup namespace the container's own
 * directories are bind-mounted instead.
 */
export function planCgroupMount(input: CgroupMountInput): MountSteps {
  const { cgroups, inside, options, because } = input;
  if (cgroups.kind !== "v2") return planV1(input);
  const unified = cgroups.unified ?? "/sys/fs/cgroup";
  if (!hasCgroupNamespace(input.config)) return { mounts: [bindOwn(input, unified, inside)], late: [] };
  const step: ContainerStep = {
    do: "mount",
    source: "cgroup",
    inside,
    fstype: "cgroup2",
    flags: options.flags,
    data: "",
    makeTarget: true,
    because,
  };
  return { mounts: [step], late: [] };
}

function planV1(input: CgroupMountInput): MountSteps {
  const { cgroups, inside, options, because } = input;
  const base = options.flags & ~mountFlags.MS_RDONLY;
  const mounts: ContainerStep[] = [
    {
      do: "mount",
      source: "tmpfs",
      inside,
      fstype: "tmpfs",
      flags: base,
      data: "mode=755,size=64k",
      makeTarget: true,
      because,
    },
  ];
  for (const [dir, names] of hierarchies(cgroups, input.controllers)) {
    const folder = names.join(",");
    const target = `${inside}/${folder}`;
    mounts.push(
      hasCgroupNamespace(input.config)
        ? {
            do: "mount",
            source: "cgroup",
            inside: target,
            fstype: "cgroup",
            flags: options.flags,
            data: folder,
            makeTarget: true,
            because,
          }
        : bindOwn(input, dir, target),
    );
    if (names.length > 1)
      for (const name of names)
        mounts.push({ do: "symlink", target: folder, inside: `${inside}/${name}`, because });
  }
  return { mounts, late: options.readonly ? [{ do: "read-only", path: inside, because }] : [] };
}

/** Mount dir of each hierarchy that has one of `controllers`, with all controllers that are on it, in a fixed order. */
export function hierarchies(
  cgroups: CgroupLayout,
  controllers: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const byDir = new Map<string, readonly string[]>();
  for (const name of controllers) {
    const dir = cgroups.controllers[name];
    if (dir === undefined || byDir.has(dir)) continue;
    // A co-mounted hierarchy can be mounted again only with all of its controllers.
    const together = Object.keys(cgroups.controllers).filter((other) => cgroups.controllers[other] === dir);
    byDir.set(dir, together.sort());
  }
  return byDir;
}

function bindOwn(input: CgroupMountInput, hierarchy: string, inside: string): ContainerStep {
  return {
    do: "bind",
    source: `${hierarchy}${input.config.linux?.cgroupsPath ?? ""}`,
    inside,
    flags: input.options.flags,
    attrSet: input.options.attrSet,
    attrClear: input.options.attrClear,
    recursive: false,
    makeTarget: "dir",
    propagation: mountFlags.MS_PRIVATE | mountFlags.MS_REC,
    because: input.because,
  };
}

function hasCgroupNamespace(config: OciConfig): boolean {
  return (config.linux?.namespaces ?? []).some(({ type }) => type === "cgroup");
}
