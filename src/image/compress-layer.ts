/** A layer's archive for a push: made and kept, and sent to the target meanwhile. */
import type { Digest } from "../lib/index.ts";
import { compress } from "./compress.ts";
import type { BlobRow } from "./content-records.ts";
import { EarlyBlob } from "./early-blob.ts";
import type { ImageTarget } from "./endpoint.ts";
import { spendableBytes } from "./free-space.ts";
import { mediaTypes } from "./manifest.ts";
import type { LayerRow } from "./records.ts";
import type { ImageRoom } from "./room.ts";
import type { LayerCompression } from "./transfer-types.ts";

export const layerTypes: Readonly<Record<LayerCompression, string>> = {
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
  none: mediaTypes.ociLayer,
};

/** How an archive is made. */
export interface Form {
  readonly compression: "gzip" | "zstd";
  readonly level: number;
}

export interface LayerWish {
  readonly layer: LayerRow;
  readonly form: Form;
  /** Where the image goes to, if that is known. */
  readonly target: ImageTarget | undefined;
  /** Is told before the collector could see it. */
  readonly onMade: (digest: Digest) => void;
  readonly signal: AbortSignal | undefined;
}

/** @throws {GantryError} of the store; a target that does not take uploads at all */
export async function compressLayer(
  { content, layers, root, sys }: ImageRoom,
  { layer, form, target, onMade, signal }: LayerWish,
): Promise<BlobRow> {
  const { compression, level } = form;
  const stream = await target?.beginBlob?.(signal);
  const early = stream === undefined ? undefined : new EarlyBlob(stream);
  try {
    const made = compress(layers.tar(layer, signal), compression, { level, signal });
    const file = await content.spool(early === undefined ? made : early.tee(made), {
      what: `layer ${layer.diffId}`,
      maxBytes: spendableBytes(sys, root),
      signal,
    });
    const { digest, size } = file;
    onMade(digest);
    await Promise.all([
      content.adopt(file),
      early?.keep({ digest, size, mediaType: layerTypes[compression] }),
    ]);
    return { digest, diffId: layer.diffId, compression, level, size, usedMs: Date.now() };
  } catch (error) {
    await early?.drop();
    throw error;
  }
}
