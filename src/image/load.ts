/** `docker load`: images from a docker-archive (v1.2) or an OCI layout, all of them or none. */
import { type Digest, GantryError, sha256 } from "../lib/index.ts";
import { chainId } from "./chain-id.ts";
import type { SpooledFile } from "./content-store.ts";
import { nameToGive } from "./create-image.ts";
import { spendableBytes } from "./free-space.ts";
import { parseImageConfig } from "./image-config.ts";
import { readDockerArchive } from "./load-docker.ts";
import { readOciLayout } from "./load-oci.ts";
import { familiarName, parseReference } from "./reference.ts";
import type { ImageRoom } from "./room.ts";
import { Spool } from "./spool.ts";
import type { Hold, ImageConfig, LoadedImage, LoadOptions } from "./types.ts";

/** An image as an archive describes it. */
export interface ArchivedImage {
  /** The config's own bytes. */
  readonly config: Uint8Array;
  /** Layer files, bottom first. */
  readonly layers: readonly SpooledFile[];
  /** Names in any form. */
  readonly names: readonly string[];
}

/** @throws {GantryError} "corrupt", "unsupported", "exhausted"; nothing has changed then */
export async function loadImages(
  room: ImageRoom,
  source: AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<readonly LoadedImage[]> {
  const maxBytes = spendableBytes(room.sys, room.root);
  using spool = await Spool.read(room.content, source, { maxBytes, signal: options.signal });
  const images = readArchive(spool).map((image) => ({
    ...image,
    names: image.names.map(nameToGive),
    parsed: parseImageConfig(image.config),
  }));
  using hold = room.holds.create();
  const tops: (Digest | undefined)[] = [];
  for (const image of images)
    tops.push(await loadLayers(room, { image, parsed: image.parsed, hold }, options));
  return images.map(({ config, names }, i) => {
    const { id } = room.catalog.put(
      { id: sha256(config), config, chainId: tops[i], parent: undefined },
      names,
    );
    return { id, references: names.map((name) => familiarName(parseReference(name))) };
  });
}

function readArchive(spool: Spool): readonly ArchivedImage[] {
  const manifest = spool.find("manifest.json");
  if (manifest !== undefined) return readDockerArchive(spool, manifest);
  const index = spool.find("index.json");
  if (index !== undefined) return readOciLayout(spool, index);
  throw new GantryError(
    "corrupt",
    "the archive holds neither manifest.json nor index.json: it is not an archive of images",
    {
      hint: "a root file system is made an image with: gantry import",
    },
  );
}

interface LayerJob {
  readonly image: ArchivedImage;
  readonly parsed: ImageConfig;
  readonly hold: Hold;
}

/** Unpacks what is not here yet; returns the chain id of the top. */
async function loadLayers(
  room: ImageRoom,
  { image, parsed, hold }: LayerJob,
  options: LoadOptions,
): Promise<Digest | undefined> {
  const diffIds = parsed.rootfs.diff_ids;
  if (diffIds.length !== image.layers.length) {
    throw new GantryError(
      "corrupt",
      `the image config names ${diffIds.length} layers, the archive has ${image.layers.length}`,
    );
  }
  let parent: Digest | undefined;
  for (const [i, diffId] of diffIds.entries()) {
    const file = image.layers[i];
    if (file === undefined) break;
    options.onProgress?.({ layer: diffId, status: "unpacking" });
    parent = await loadLayer(room, { file, diffId, parent, hold }, options);
    options.onProgress?.({ layer: diffId, status: "done" });
  }
  return parent;
}

interface OneLayer {
  readonly file: SpooledFile;
  readonly diffId: Digest;
  readonly parent: Digest | undefined;
  readonly hold: Hold;
}

async function loadLayer(
  room: ImageRoom,
  { file, diffId, parent, hold }: OneLayer,
  options: LoadOptions,
): Promise<Digest> {
  const id = chainId(parent, diffId);
  if (room.layers.has(id)) {
    hold.keep(id);
    return id;
  }
  const { signal } = options;
  // Two images of one archive may share the file of a layer on different parents: it is adopted by the first.
  const blob = room.content.size(file.digest) === undefined ? await room.content.adopt(file) : file;
  return room.layers.withBlob(blob.digest, async () => {
    const layer = await room.layers.unpack({
      source: room.content.read(blob.digest),
      blob: blob.digest,
      parent,
      diffId,
      hold,
      signal,
    });
    return layer.chainId;
  });
}
