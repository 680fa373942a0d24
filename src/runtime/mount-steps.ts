/** The steps that mounts of every kind are made of. Pure. */
import { mountAttr } from "../kernel/index.ts";
import { type MountOptions, unnamedAttributes } from "./mount-options.ts";
import type { BindStep, ContainerStep } from "./plan-step.ts";

export interface MountSteps {
  /** Before pivot-root, in the config's order. */
  readonly mounts: readonly ContainerStep[];
  /** After pivot-root: what had to stay writable until everything in it was made. */
  readonly late: readonly ContainerStep[];
}

/** Of the mount alone: what is mounted in it has a mode of its own. */
export function readOnlyLater(inside: string, because: string): ContainerStep {
  return { do: "mount-attributes", inside, set: mountAttr.MOUNT_ATTR_RDONLY, clear: 0n, because };
}

export interface BindRequest {
  readonly source: string;
  readonly inside: string;
  readonly options: MountOptions;
  readonly propagation: bigint;
  readonly because: string;
}

export function bindStep(request: BindRequest): BindStep {
  const { source, inside, options, propagation, because } = request;
  const recursive = options.belowSet !== 0n || options.belowClear !== 0n;
  return {
    do: "bind",
    source,
    inside,
    flags: options.flags,
    attrSet: recursive ? options.belowSet : options.set,
    attrClear: recursive ? options.belowClear : options.clear,
    attrUnset: unnamedAttributes(options),
    recursive,
    makeTarget: "as-source",
    propagation,
    because,
    ...(options.sourceLink ? { sourceLink: true } : {}),
    ...(options.placeLink ? { placeLink: true } : {}),
    ...(options.copySymlink ? { copySymlink: true } : {}),
  };
}
