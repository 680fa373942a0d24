/** All that is known of a container at this moment, for the API. Reads memory only. */
import type { ContainerView, MountView } from "../api/wire-container.ts";
import type { ContainerRecord } from "../container.ts";
import type { StoredContainer } from "../container-store.ts";
import type { EngineContext } from "../context.ts";
import { containerPaths } from "../paths.ts";
import { tryImageOf } from "./image-of.ts";
import { type MountSpec, mountsOf } from "./mount-spec.ts";

const mountViews = new WeakMap<ContainerRecord, readonly MountView[]>();

export function viewContainer(
  context: EngineContext,
  { record, state }: StoredContainer,
  execIds: readonly string[],
): ContainerView {
  const {
    dir: _dir,
    work: _work,
    upper,
    log,
    hosts,
    resolvConf,
    hostname,
  } = containerPaths(context.paths, record.id);
  return {
    record,
    state,
    endpoint: context.networks.endpoint(record.id),
    mounts: viewMounts(context, record),
    execIds,
    paths: { log: record.host.LogConfig.Type === "none" ? "" : log, hosts, resolvConf, hostname },
    image: () => imageName(context, record),
    layers: tryImageOf(context, record)?.layerDirs ?? [],
    lowers: () => tryImageOf(context, record)?.lowers ?? [],
    upper,
  };
}

function imageName({ images }: EngineContext, { config, imageId }: ContainerRecord): string {
  return images.tryFind(config.Image)?.id === imageId ? config.Image : imageId;
}

/** A record never changes, and a volume never moves. */
function viewMounts(context: EngineContext, record: ContainerRecord): readonly MountView[] {
  const known = mountViews.get(record);
  if (known !== undefined) return known;
  const views = mountsOf(record).map((mount) => viewMount(context, mount));
  mountViews.set(record, views);
  return views;
}

function viewMount({ volumes }: EngineContext, mount: MountSpec): MountView {
  const { type, name, target, readOnly, mode } = mount;
  const source = type === "volume" ? (volumes.tryFind(name)?.path ?? "") : mount.source;
  const propagation = type === "bind" ? mount.propagation || "rprivate" : "";
  return { type, name, source, target, readOnly, mode, propagation };
}
