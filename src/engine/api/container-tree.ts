/** Where the files of a container are, for copying them in and out. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import type { OverlayRoot, TreeMount, TreeRoot } from "../../image/index.ts";
import { containerPaths, type EnginePaths } from "../paths.ts";
import type { ContainerView } from "./wire-container.ts";

/**
 * A running container's files are those that its first process sees, with volumes and all; a stopped one's are its layers
 * with its binds and volumes, mounted once more for a moment. (An overlay must not be mounted twice at a time: its upper directory has one owner.)
 */
export function containerTree(paths: EnginePaths, view: ContainerView): TreeRoot {
  const { state, mounts } = view;
  if (state.pid !== 0) return { process: { pid: state.pid, startTime: state.startTime } };
  const own = mounts.filter(({ type }) => type !== "tmpfs");
  const ownMounts = own.map(({ source, target, readOnly }) => ({ source, target, readOnly }));
  return { ...layersTree(paths, view), mounts: [...networkFiles(view), ...ownMounts] };
}

/** Before the first start they are empty, as in dockerd. */
function networkFiles({
  mounts,
  paths: { hosts, hostname, resolvConf },
}: ContainerView): readonly TreeMount[] {
  const files = [
    ["/etc/hosts", hosts],
    ["/etc/hostname", hostname],
    ["/etc/resolv.conf", resolvConf],
  ] as const;
  return files
    .filter(([target]) => !mounts.some((mount) => mount.target === target))
    .map(([target, source]) => {
      closeSync(openSync(source, "a", 0o644));
      return { source, target, readOnly: false };
    });
}

/** Its layers alone, without what is mounted upon them. Only to be read while it runs. */
export function layersTree(paths: EnginePaths, { record, lowers }: ContainerView): OverlayRoot {
  const { upper, work } = containerPaths(paths, record.id);
  // The first start makes them, which may be still to come.
  mkdirSync(upper, { recursive: true, mode: 0o755 });
  mkdirSync(work, { recursive: true, mode: 0o711 });
  return { lowers: lowers(), upper, work };
}
