/** What a container needs of its image when it starts, also when `rmi --force` has taken that away: its lease keeps the layers. */
import type { LeasedLayers } from "../../image/index.ts";
import type { ContainerRecord } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { leaseOf } from "./lease.ts";

export interface ContainerImage extends LeasedLayers {
  readonly id: string;
}

/** @throws {GantryError} "not-found" when neither the image nor its layers are here */
export function imageOf(context: Pick<EngineContext, "images">, record: ContainerRecord): ContainerImage {
  return tryImageOf(context, record) ?? context.images.find(record.imageId);
}

export function tryImageOf(
  { images }: Pick<EngineContext, "images">,
  { id, imageId }: Pick<ContainerRecord, "id" | "imageId">,
): ContainerImage | undefined {
  const image = images.tryFind(imageId);
  if (image !== undefined) return image;
  const layers = images.leased(leaseOf(id));
  if (layers === undefined) return undefined;
  return {
    id: imageId,
    layerDirs: layers.layerDirs,
    size: layers.size,
    get lowers() {
      return layers.lowers;
    },
  };
}
