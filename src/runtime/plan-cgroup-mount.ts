/** The mount of type cgroup: what a container sees in /sys/fs/cgroup (runtime-spec config-linux.md). Pure. */
import { type CgroupLayout, mountFlags } from "../kernel/index.ts";
import { type MountOptions, superOptions } from "./mount-options.ts";
import type { OciConfig } from "./oci-types.ts";
import { bindStep, type MountSteps, readOnlyLater } from "./mount-steps.ts";
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
    flags: options.flags | options.propagation,
    data: [...superOptions(options.flags), options.data].filter((word) => word !== "").join(","),
    makeTarget: true,
    because,
    // Refused to a user namespace whose cgroup namespace is another's: then the own cgroup, and never the host's
    // (CVE-2023-25809); an empty directory where there is none.
    fallback: `${unified}${ownPath(input.config)}`,
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
      ...(options.readonly ? { keep: true } : {}),
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
            // Refused where the cgroup namespace is not the user namespace's own.
            fallback: `${dir}${ownPath(input.config)}`,
          }
        : bindOwn(input, dir, target),
    );
    if (names.length > 1)
      for (const name of names)
        mounts.push({ do: "symlink", target: folder, inside: `${inside}/${name}`, because });
  }
  return { mounts, late: options.readonly ? [readOnlyLater(inside, because)] : [] };
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
  const { options, because } = input;
  const source = `${hierarchy}${ownPath(input.config)}`;
  const propagation = mountFlags.MS_PRIVATE | mountFlags.MS_REC;
  return { ...bindStep({ source, inside, options, propagation, because }), makeTarget: "dir" };
}

function ownPath(config: OciConfig): string {
  return config.linux?.cgroupsPath ?? "";
}

function hasCgroupNamespace(config: OciConfig): boolean {
  return (config.linux?.namespaces ?? []).some(({ type }) => type === "cgroup");
}
