/** How much images share and who uses them, for `system df`. Pure. */
import type { ImageRecord, Layer } from "../../image/index.ts";
import type { ImageUse } from "./wire-image.ts";

/** A layer by its chain id. */
export type LayerOf = (chainId: NonNullable<ImageRecord["chainId"]>) => Layer;

export interface ImagesUse {
  readonly of: ReadonlyMap<string, ImageUse>;
  /** Bytes of all layers, each counted once. */
  readonly layersSize: number;
}

/** @param users image ids of the containers, one entry a container */
export function imagesUse(
  images: readonly ImageRecord[],
  layerOf: LayerOf,
  users: readonly string[],
): ImagesUse {
  const chains = new Map(images.map((image) => [image.id, chainOf(image, layerOf)]));
  const holders = new Map<string, number>();
  const sizes = new Map<string, number>();
  for (const layer of [...chains.values()].flat()) {
    holders.set(layer.chainId, (holders.get(layer.chainId) ?? 0) + 1);
    sizes.set(layer.chainId, layer.size);
  }
  const of = new Map<string, ImageUse>();
  for (const [id, layers] of chains) {
    const shared = layers.filter((layer) => (holders.get(layer.chainId) ?? 0) > 1);
    of.set(id, {
      containers: users.filter((user) => user === id).length,
      sharedSize: shared.reduce((sum, layer) => sum + layer.size, 0),
    });
  }
  return { of, layersSize: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
}

function chainOf(image: ImageRecord, layerOf: LayerOf): Layer[] {
  const layers: Layer[] = [];
  for (let chainId = image.chainId; chainId !== undefined;) {
    const layer = layerOf(chainId);
    layers.push(layer);
    chainId = layer.parent;
  }
  return layers;
}
