/** A layer's archive for a push: made and kept, and sent to the target meanwhile. */
import type { Digest } from "../lib/index.ts";
import { compress } from "./compress.ts";
import type { BlobRow } from "./content-records.ts";
import { EarlyBlob } from "./early-blob.ts";
import type { ImageTarget } from "./endpoint.ts";
import { spendableBytes } from "./free-space.ts";
import type { LayerRow } from "./records.ts";
import type { ImageRoom } from "./room.ts";

export interface LayerWish {
  readonly layer: LayerRow;
  readonly compression: "gzip" | "zstd";
  readonly level: number;
  readonly mediaType: string;
  /** Where the image goes to, if that is known. */
  readonly target: ImageTarget | undefined;
  /** Is told before the collector could see it. */
  readonly onMade: (digest: Digest) => void;
  readonly signal: AbortSignal | undefined;
}

/** @throws {GantryError} of the store; a target that does not take uploads at all */
export async function compressLayer(
  { content, layers, root, sys }: ImageRoom,
  { layer, compression, level, mediaType, target, onMade, signal }: LayerWish,
): Promise<BlobRow> {
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
    await Promise.all([content.adopt(file), early?.keep({ digest, size, mediaType })]);
    return { digest, diffId: layer.diffId, compression, level, size, usedMs: Date.now() };
  } catch (error) {
    await early?.drop();
    throw error;
  }
}
