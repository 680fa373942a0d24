/** The mounts of a config as steps. Pure. */
import { GantryError } from "../lib/index.ts";
import { type CgroupLayout, mountFlags } from "../kernel/index.ts";
import { insidePath } from "./inside-path.ts";
import {
  type MountOptions,
  parseMountOptions,
  superOptions,
  unnamedAttributes,
  withoutBelow,
} from "./mount-options.ts";
import { isMountedInProc } from "./mounts-in-proc.ts";
import { bindStep, type MountSteps, readOnlyLater } from "./mount-steps.ts";
import type { OciConfig, OciMount, OciNamespaceType } from "./oci-types.ts";
import { planCgroupMount } from "./plan-cgroup-mount.ts";
import type { Because } from "./plan-input.ts";
import type { ContainerStep } from "./plan-step.ts";

export interface MountsInput {
  readonly config: OciConfig;
  readonly cgroups: CgroupLayout;
  /** Controllers in whose hierarchies the container has a cgroup of its own. */
  readonly controllers: readonly string[];
  readonly because: Because;
}

/** @throws {GantryError} "invalid" or "unsupported" naming the mount */
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
  const inside = insidePath(mount.destination, input.config.root?.path);
  const options = parseMountOptions(mount.options ?? []);
  refuseContradictions(mount, inside, options);
  const because = input.because(`the config's mounts`, `mounts.${mount.destination}`, "mounts");
  const onProc = isMountedInProc(mount, inside, options);
  if (options.remount) return { mounts: [remountStep(mount, inside, options, because)], late: [] };
  if ((mount.type === "cgroup" || mount.type === "cgroup2") && !options.bind)
    return planCgroupMount({ ...input, inside, options, because });
  if (options.bind || mount.type === "bind") {
    const propagation = options.propagation === 0n ? defaultPropagation(input.config) : options.propagation;
    const bind = bindStep({ source: mount.source ?? "", inside, options, because, propagation });
    const flags = {
      ...(onProc ? { onProc } : {}),
      ...(inside === "/proc" ? { fromProc: true } : {}),
      ...(hasUserNamespace(input.config) ? { locked: true, ...fromInside(bind.source, input.config) } : {}),
    };
    return { mounts: [{ ...bind, ...flags }], late: [] };
  }
  const own = parseMountOptions(withoutBelow(mount.options ?? []));
  return newFileSystem(mount, inside, own, because, onProc, input.config);
}

/** File systems of the kernel's own: one super block for all, whose mode is the host's; or made to be filled first. */
const kernelFileSystems = new Set(
  "proc sysfs cgroup cgroup2 mqueue devpts devtmpfs tmpfs ramfs securityfs debugfs tracefs bpf pstore efivarfs".split(
    " ",
  ),
);

// oxlint-disable-next-line max-params -- what planMount has found out
function newFileSystem(
  mount: OciMount,
  inside: string,
  options: MountOptions,
  because: string,
  onProc: boolean,
  config: OciConfig,
): MountSteps {
  const fstype = mount.type ?? "none";
  // In a tmpfs mount points, in /dev devices and links are still to be made.
  const isLate = options.readonly && (inside === "/dev" || fstype === "tmpfs");
  const readOnlySuper = options.readonly && !kernelFileSystems.has(fstype) ? ["ro"] : [];
  const data = [...readOnlySuper, ...superOptions(options.flags), options.data].filter((word) => word !== "");
  const isTmpfs = fstype === "tmpfs";
  const step: ContainerStep = {
    do: "mount",
    source: mount.source ?? fstype,
    inside,
    fstype,
    flags: (isLate ? options.flags & ~mountFlags.MS_RDONLY : options.flags) | options.propagation,
    data: data.join(","),
    makeTarget: true,
    because,
    // Proc and sysfs are mounted on themselves or not at all: a link would put them where nothing masks them.
    ...(fstype === "proc" || fstype === "sysfs" ? { plain: true } : {}),
    ...(onProc ? { onProc } : {}),
    ...(isTmpfs && !/(^|,)mode=/.test(options.data) ? { inheritMode: true } : {}),
    ...(isTmpfs && options.copyUp ? { copyUp: true } : {}),
    ...(isLate ? { keep: true } : {}),
    ...fallbackOf(fstype, config),
  };
  return { mounts: [step], late: isLate ? [readOnlyLater(inside, because)] : [] };
}

/**
 * What is shown instead where the kernel refuses a user namespace that does not own the network, pid or ipc namespace: the
 * host's, which is the same where that namespace is the host's.
 */
function fallbackOf(
  fstype: string,
  config: OciConfig,
): { readonly fallback?: string; readonly fallbackReadOnly?: boolean } {
  const has = (type: OciNamespaceType): boolean =>
    config.linux?.namespaces?.some((namespace) => namespace.type === type) === true;
  if (fstype === "sysfs") return { fallback: "/sys", fallbackReadOnly: true };
  if (fstype === "proc" && has("user") && !has("pid")) return { fallback: "/proc" };
  if (fstype === "mqueue" && has("user") && !has("ipc")) return { fallback: "/dev/mqueue" };
  return {};
}

/** Without a word on it a bind is private: what the host mounts later does not show up, unless the root's mode says so. */
function defaultPropagation(config: OciConfig): bigint {
  const root = config.linux?.rootfsPropagation ?? "";
  if (/shared/.test(root)) return 0n;
  return (/slave/.test(root) ? mountFlags.MS_SLAVE : mountFlags.MS_PRIVATE) | mountFlags.MS_REC;
}

/** In a user namespace the root is not mounted at its own path, which may be closed to the container's user. */
function fromInside(source: string, config: OciConfig): { source?: string; fromInside?: true } {
  const root = config.root?.path ?? "";
  return source.startsWith(`${root}/`) ? { source: source.slice(root.length), fromInside: true } : {};
}

function hasUserNamespace(config: OciConfig): boolean {
  return (config.linux?.namespaces ?? []).some(({ type }) => type === "user");
}

function remountStep(mount: OciMount, inside: string, options: MountOptions, because: string): ContainerStep {
  const isBind = options.bind || mount.type === "bind";
  return {
    do: "remount",
    inside,
    set: options.set,
    clear: options.clear,
    unset: isBind ? 0n : unnamedAttributes(options),
    data: isBind
      ? ""
      : [...superOptions(options.flags), options.data].filter((word) => word !== "").join(","),
    because,
  };
}

function refuseContradictions(mount: OciMount, inside: string, options: MountOptions): void {
  const isBind = options.bind || mount.type === "bind";
  const refuse = (problem: string, hint: string): never => {
    throw new GantryError("invalid", `the mount on ${mount.destination}: ${problem}`, {
      fields: { path: "mounts" },
      hint,
    });
  };
  if (options.copyUp && mount.type !== "tmpfs")
    refuse("tmpcopyup is for a tmpfs only", 'make its type "tmpfs", or leave the option out');
  if (options.copyUp && inside === "/")
    refuse("tmpcopyup would copy the whole root", "choose a directory below, or leave the option out");
  if (options.copySymlink && (options.sourceLink || options.placeLink))
    refuse("copy-symlink excludes src-nofollow and dest-nofollow", "leave one of them out");
  for (const [word, isAsked] of [
    ["src-nofollow", options.sourceLink],
    ["dest-nofollow", options.placeLink],
    ["copy-symlink", options.copySymlink],
  ] as const)
    if (isAsked && !isBind) refuse(`${word} is for bind mounts only`, "leave the option out");
}
