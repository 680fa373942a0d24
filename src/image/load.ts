/** `docker load`: images from a docker-archive (v1.2) or an OCI layout, all of them or none. */
import { type Digest, GantryError, sha256 } from "../lib/index.ts";
import { chainId } from "./chain-id.ts";
import type { BlobRow } from "./content-records.ts";
import type { SpooledFile, StoredBlob } from "./content-store.ts";
import { nameToGive } from "./create-image.ts";
import { spendableBytes } from "./free-space.ts";
import { parseImageConfig } from "./image-config.ts";
import { readDockerArchive } from "./load-docker.ts";
import { readOciLayout } from "./load-oci.ts";
import type { AppliedLayer } from "./layer-maker.ts";
import type { RawManifest } from "./manifest.ts";
import { familiarName, parseReference } from "./reference.ts";
import type { ImageRoom } from "./room.ts";
import { type ArchivedFile, Spool } from "./spool.ts";
import type { Hold, ImageConfig, LoadedImage, LoadOptions } from "./types.ts";

/** An image as an archive describes it. */
export interface ArchivedImage {
  /** The config's own bytes. */
  readonly config: Uint8Array;
  /** Layer files, bottom first. */
  readonly layers: readonly ArchivedFile[];
  /** Names in any form. */
  readonly names: readonly string[];
  /** What it is described by, where the archive has that: kept as it is. */
  readonly manifests: readonly RawManifest[];
}

/** @throws {GantryError} "corrupt", "unsupported", "exhausted"; nothing has changed then */
export async function loadImages(
  room: ImageRoom,
  source: AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<readonly LoadedImage[]> {
  const maxBytes = spendableBytes(room.sys, room.root);
  await using spool = await Spool.read(room, source, { maxBytes, signal: options.signal });
  const images = readArchive(spool).map((image) => ({
    ...image,
    names: image.names.map(nameToGive),
    parsed: parseImageConfig(image.config),
  }));
  using hold = room.holds.create();
  using pins = new DisposableStack();
  try {
    const tops: LoadedLayers[] = [];
    for (const image of images)
      tops.push(await loadLayers(room, { image, parsed: image.parsed, hold, pins }, options));
    return images.map((image, i) => record(room, image, tops[i] ?? { top: undefined, blobs: [] }));
  } finally {
    pins.dispose();
    room.collector.soon();
  }
}

function record(
  room: ImageRoom,
  { config, names, manifests }: ArchivedImage,
  { top, blobs }: LoadedLayers,
): LoadedImage {
  const { catalog, records } = room;
  const id = sha256(config);
  const [manifest] = manifests;
  catalog.put({ id, config, chainId: top, parent: undefined }, names, {
    ...(manifest === undefined ? {} : { manifest: manifest.digest }),
    also: () => {
      for (const blob of blobs) records.putBlob(blob);
      for (const raw of manifests) records.putManifest({ ...raw, image: id });
    },
  });
  return { id, references: names.map((name) => familiarName(parseReference(name))) };
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
  /** Archives of layers, until the image has been recorded. */
  readonly pins: DisposableStack;
}

interface LoadedLayers {
  readonly top: Digest | undefined;
  readonly blobs: readonly BlobRow[];
}

/** Puts on each other what is not here yet. */
async function loadLayers(
  room: ImageRoom,
  { image, parsed, hold, pins }: LayerJob,
  options: LoadOptions,
): Promise<LoadedLayers> {
  const diffIds = parsed.rootfs.diff_ids;
  if (diffIds.length !== image.layers.length) {
    throw new GantryError(
      "corrupt",
      `the image config names ${diffIds.length} layers, the archive has ${image.layers.length}`,
    );
  }
  let parent: Digest | undefined;
  const blobs: BlobRow[] = [];
  for (const [i, diffId] of diffIds.entries()) {
    const file = image.layers[i];
    if (file === undefined) break;
    options.onProgress?.({ layer: diffId, status: "unpacking" });
    const archive =
      image.manifests.length === 0 ? undefined : await keepArchive(room, file, { diffId, pins });
    if (archive !== undefined) blobs.push(archive);
    parent = await loadLayer(room, { file, diffId, parent, hold, pins }, options);
    options.onProgress?.({ layer: diffId, status: "done" });
  }
  return { top: parent, blobs };
}

interface OneLayer {
  readonly file: ArchivedFile;
  readonly diffId: Digest;
  readonly parent: Digest | undefined;
  readonly hold: Hold;
  readonly pins: DisposableStack;
}

/** The manifest of the archive names the layer's file: it is kept, but for a plain tar, which the layer itself gives. */
async function keepArchive(
  room: ImageRoom,
  { file }: ArchivedFile,
  { diffId, pins }: Pick<OneLayer, "diffId" | "pins">,
): Promise<BlobRow | undefined> {
  if (file === undefined || file.digest === diffId) return undefined;
  const { digest, size } = await adopt(room, file, pins);
  const compression = room.content.compression(digest);
  return { digest, diffId, compression, level: undefined, size, usedMs: Date.now() };
}

/** Two images of one archive may share the file of a layer on different parents: it is adopted by the first. */
async function adopt({ content }: ImageRoom, file: SpooledFile, pins: DisposableStack): Promise<StoredBlob> {
  pins.use(content.pin(file.digest));
  return content.size(file.digest) === undefined ? content.adopt(file) : file;
}

async function loadLayer(
  room: ImageRoom,
  { file, diffId, parent, hold, pins }: OneLayer,
  { signal }: LoadOptions,
): Promise<Digest> {
  const { layers } = room;
  const id = chainId(parent, diffId);
  if (layers.has(id)) {
    hold.keep(id);
    return id;
  }
  const { applied } = file;
  if (applied !== undefined && applied.tar.digest !== diffId)
    throw new GantryError("corrupt", `the layer has digest ${applied.tar.digest}, expected ${diffId}`, {
      hint: "get or make the archive anew",
    });
  const needsFile = applied === undefined || !isOwnArchive(room, applied);
  const blob = needsFile && file.file !== undefined ? (await adopt(room, file.file, pins)).digest : undefined;
  if (applied !== undefined) {
    file.applied = undefined;
    await using unpacked = applied;
    return (await room.maker.place(unpacked, { parent, blob, hold, signal })).chainId;
  }
  const source = blob === undefined ? layers.anyTar(diffId, signal) : room.content.read(blob);
  return (await room.maker.unpack({ source, blob, parent, diffId, hold, signal })).chainId;
}

/** The layer's tar can be had without the file that it came in. */
function isOwnArchive({ layers }: ImageRoom, { tar, unpacked }: AppliedLayer): boolean {
  return layers.keepsArchives || unpacked.canonical?.digest === tar.digest;
}
