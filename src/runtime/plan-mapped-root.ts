/**
 * The root of a container in a user namespace, of layers that lie on the disk with the host's ids. An overlay can have no id
 * map of its own, but its layers can: each is mounted over its own place with the container's ids, all in a mount namespace
 * that only the child has, and while it still has the host's rights. Then it enters the user namespace and a mount
 * namespace of that, in which the overlay is locked: it is bound once more, since pivot_root(2) refuses a locked mount. Pure.
 */
import { mountFlags } from "../kernel/index.ts";
import { mapText } from "./id-maps.ts";
import type { OciConfig, OciIdMapping } from "./oci-types.ts";
import type { OverlayRoot } from "./plan-input.ts";
import type { BindStep, ContainerStep, MonitorStep, OpenSourceStep } from "./plan-step.ts";

/** An overlay whose layers get the container's ids. */
export type MappedOverlay = OverlayRoot & { readonly mapped: NonNullable<OverlayRoot["mapped"]> };

export function isMapped(overlay: OverlayRoot | undefined): overlay is MappedOverlay {
  return overlay?.mapped !== undefined;
}

const because = "the container's user namespace: its files are its root's";

/** Only the monitor may make the maps, before the child exists. */
export function mappedSources(
  { linux }: OciConfig,
  { lowers, mapped }: MappedOverlay,
): readonly MonitorStep[] {
  const uids = linux?.uidMappings ?? [];
  const gids = linux?.gidMappings ?? [];
  const open = (path: string, inside: string, maps: Pick<OpenSourceStep, "uids" | "gids">): MonitorStep => ({
    do: "open-source",
    inside,
    path,
    recursive: false,
    ...maps,
    because,
  });
  const plain = { uids: mapText(uids), gids: mapText(gids) };
  return [
    ...lowers.map((path) => open(path, path, plain)),
    open(mapped.writable, mapped.at, { uids: withMounter(uids), gids: withMounter(gids) }),
  ];
}

/**
 * The overlay writes its own things (its work directory, whiteouts) as who mounted it, the host's root: that must have an id
 * on the disk too, and gets the one behind the container's.
 */
function withMounter(maps: readonly OciIdMapping[]): string {
  const next = Math.max(0, ...maps.map(({ containerID, size }) => containerID + size));
  return mapText([...maps, { containerID: next, hostID: 0, size: 1 }]);
}

/** First of all, with the host's root as root. */
export function mappedMounts(overlay: MappedOverlay): readonly ContainerStep[] {
  const { mapped, target, lowers, options } = overlay;
  return [
    { do: "mount-propagation", path: "/", flags: mountFlags.MS_SLAVE | mountFlags.MS_REC, because },
    hostRoot,
    ...lowers.map((path) => bindAt(path, path)),
    bindAt(mapped.writable, mapped.at),
    {
      do: "overlay",
      target,
      lowers,
      upper: `${mapped.at}/upper`,
      work: `${mapped.at}/work`,
      options,
      because: "the image's layers and the container's own on top",
    },
  ];
}

/** In the user namespace: an unlocked mount of the overlay, for `root`. */
export function unlockedRoot({ target }: MappedOverlay): readonly ContainerStep[] {
  return [hostRoot, bindAt(target, target)];
}

const hostRoot: ContainerStep = {
  do: "root",
  path: "/",
  flags: mountFlags.MS_BIND | mountFlags.MS_REC,
  because,
};

function bindAt(source: string, inside: string): BindStep & { readonly do: "bind" } {
  return {
    do: "bind",
    source,
    inside,
    flags: mountFlags.MS_BIND,
    attrSet: 0n,
    attrClear: 0n,
    recursive: false,
    makeTarget: "no",
    propagation: mountFlags.MS_PRIVATE,
    because,
  };
}
