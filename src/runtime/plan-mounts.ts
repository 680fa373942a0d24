/** The mounts of a config as steps. Pure. */
import { GantryError } from "../lib/index.ts";
import { type CgroupLayout, mountFlags } from "../kernel/index.ts";
import { planCgroupMount } from "./plan-cgroup-mount.ts";
import { type MountOptions, parseMountOptions } from "./mount-options.ts";
import type { OciConfig, OciMount } from "./oci-types.ts";
import type { Because } from "./plan-input.ts";
import type { ContainerStep } from "./plan-step.ts";

export interface MountsInput {
  readonly config: OciConfig;
  readonly cgroups: CgroupLayout;
  /** Controllers in whose hierarchies the container has a cgroup of its own. */
  readonly controllers: readonly string[];
  readonly because: Because;
}

export interface MountSteps {
  /** Before pivot-root, in the config's order. */
  readonly mounts: readonly ContainerStep[];
  /** After pivot-root: what had to stay writable until everything in it was made. */
  readonly late: readonly ContainerStep[];
}

/** @throws {GantryError} "unsupported" for an option that cannot be done */
export function planMounts(input: MountsInput): MountSteps {
  const mounts: ContainerStep[] = [];
  const late: ContainerStep[] = [];
  for (const mount of input.config.mounts ?? []) {
    const steps = planMount(mount, input);
    mounts.push(...steps.mounts);
    late.push(...steps.late);
  }
  return { mounts, late };
}

function planMount(mount: OciMount, input: MountsInput): MountSteps {
  const inside = insidePath(mount.destination);
  const options = parseMountOptions(mount.options ?? []);
  refuseUnsupported(mount, options, input.config);
  const because = input.because(`the config's mounts`, `mounts.${mount.destination}`, "mounts");
  if (mount.type === "cgroup" || mount.type === "cgroup2")
    return planCgroupMount({ ...input, inside, options, because });
  if (options.bind || mount.type === "bind")
    return { mounts: [bindStep(mount, inside, options, because)], late: [] };
  // In /dev devices and links are still to be made.
  const isLate = options.readonly && inside === "/dev";
  const step: ContainerStep = {
    do: "mount",
    source: mount.source ?? mount.type ?? "none",
    inside,
    fstype: mount.type ?? "none",
    flags: isLate ? options.flags & ~mountFlags.MS_RDONLY : options.flags,
    data: options.data,
    makeTarget: true,
    because,
  };
  return { mounts: [step], late: isLate ? [{ do: "read-only", path: inside, because }] : [] };
}

function bindStep(mount: OciMount, inside: string, options: MountOptions, because: string): ContainerStep {
  return {
    do: "bind",
    source: mount.source ?? "",
    inside,
    flags: options.flags,
    attrSet: options.attrSet,
    attrClear: options.attrClear,
    recursive: options.recursiveAttributes,
    makeTarget: "as-source",
    // As in runc, a bind without a word on propagation is private: nothing mounted on the host later shows up inside.
    propagation: options.propagation === 0n ? mountFlags.MS_PRIVATE | mountFlags.MS_REC : options.propagation,
    because,
  };
}

function refuseUnsupported(mount: OciMount, options: MountOptions, config: OciConfig): void {
  const words = [...options.unsupported];
  const inside = insidePath(mount.destination);
  const isBind = options.bind || mount.type === "bind";
  const holdsMore = (config.mounts ?? []).some((other) => isBelow(insidePath(other.destination), inside));
  if ((mount.uidMappings?.length ?? 0) + (mount.gidMappings?.length ?? 0) > 0) words.push("uidMappings");
  // The container's mount tree is a slave of the host's: its mounts cannot reach the host.
  if ((options.propagation & mountFlags.MS_SHARED) !== 0n) words.push("shared propagation");
  if ((options.propagation & mountFlags.MS_UNBINDABLE) !== 0n && !isBind) words.push("unbindable");
  if (options.readonly && mount.type === "tmpfs" && holdsMore) words.push("ro with other mounts in it");
  if (words.length > 0)
    throw new GantryError(
      "unsupported",
      `the mount on ${mount.destination} asks for ${words.join(", ")}, which gantry does not offer`,
      { fields: { path: "mounts" }, hint: "leave the option out" },
    );
}

/** Absolute below the root; a relative destination is taken from / (runtime-spec 1.2). */
export function insidePath(destination: string): string {
  const parts: string[] = [];
  for (const part of destination.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function isBelow(path: string, parent: string): boolean {
  return path.startsWith(parent === "/" ? "/" : `${parent}/`) && path !== parent;
}
