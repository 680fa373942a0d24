/** The mounts of a start, with their sources on the host: directories of `-v` and volumes are made, empty volumes filled. */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { toGantryError } from "../../lib/index.ts";
import type { Volume } from "../../volume/index.ts";
import type { ContainerRecord } from "../container.ts";
import type { EngineContext } from "../context.ts";
import type { ResolvedMount } from "../oci-mounts.ts";
import { fillVolume } from "./fill-volume.ts";
import type { ContainerImage } from "./image-of.ts";
import { type MountSpec, mountsOf } from "./mount-spec.ts";
import { giveToRoot } from "./user-namespace.ts";
import type { IdMaps } from "../users/id-maps.ts";

/** @throws {GantryError} when a directory or volume cannot be made or filled; a missing source of `--mount` fails in the plan */
export async function prepareMounts(
  context: EngineContext,
  record: ContainerRecord,
  image: ContainerImage,
  maps?: IdMaps,
): Promise<readonly ResolvedMount[]> {
  const mounts = mountsOf(record);
  for (const mount of mounts) {
    if (mount.type === "bind" && mount.createSource) makeSource(mount.source, maps);
    if (mount.type === "volume") {
      const volume = ensureVolume(context, record, mount);
      if (!mount.noCopy && readdirSync(volume.path).length === 0)
        await fillVolume(context, image, volume, mount.target, maps);
      if (maps !== undefined) giveToRoot(volume.path, maps);
    }
  }
  return mounts.map((mount) => resolveMount(context, mount));
}

/** The mounts as they would be: nothing is made. */
export function resolveMount(context: EngineContext, mount: MountSpec): ResolvedMount {
  const { target, readOnly, propagation, options } = mount;
  if (mount.type === "tmpfs")
    return { type: "tmpfs", source: "", target, readOnly, propagation: "", options };
  const source = mount.type === "bind" ? mount.source : (context.volumes.tryFind(mount.name)?.path ?? "");
  return { type: "bind", source, target, readOnly, propagation, options: "" };
}

/** As with dockerd it is the container's root's. */
function makeSource(path: string, maps: IdMaps | undefined): void {
  if (existsSync(path)) return;
  try {
    mkdirSync(path, { recursive: true, mode: 0o755 });
    if (maps !== undefined) giveToRoot(path, maps);
  } catch (error) {
    throw toGantryError(error, `create the bind mount's source ${path}`);
  }
}

/** Made when the container was created, or now if a crash or a removal came between. */
export function ensureVolume(context: EngineContext, record: ContainerRecord, { name }: MountSpec): Volume {
  const anonymous = record.volumes.some((use) => use.name === name && use.anonymous);
  const existing = context.volumes.tryFind(name);
  return existing ?? context.volumes.create({ name, anonymous, labels: {}, options: {} });
}
