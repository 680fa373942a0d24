/**
 * `docker save`: one tar that is both a docker-archive (manifest.json, repositories) and an OCI layout (index.json), as
 * docker writes it since version 25. Layers are uncompressed, so that a blob's name is the layer's diff id.
 */
import {
  type Digest,
  digestHex,
  GantryError,
  sha256,
  tarHeader,
  tarPadding,
  tarTrailer,
} from "../lib/index.ts";
import type { LayerRow } from "./records.ts";
import { familiarRepository, parseReference, tryParseReference } from "./reference.ts";
import type { ImageRoom } from "./room.ts";
import type { ImageRecord } from "./types.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar";
const configType = "application/vnd.oci.image.config.v1+json";

/** One image with the names it is saved by. */
interface SavedImage {
  readonly image: ImageRecord;
  readonly config: Uint8Array;
  readonly manifest: Uint8Array;
  /** Bottom first. */
  readonly layers: readonly LayerRow[];
  /** Familiar, with tag. */
  readonly tags: readonly string[];
}

/** @throws {GantryError} "not-found" at the call, before the first byte; "corrupt" when a layer was changed on disk */
export function saveImages(
  room: ImageRoom,
  references: readonly string[],
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (references.length === 0) throw new GantryError("invalid", "no image to save was named");
  const images = select(room, references);
  return write(room, images, signal);
}

/** An image asked for by id is saved without names, by name with that name; a repository without tag stands for all its tags. */
function select(room: ImageRoom, references: readonly string[]): readonly SavedImage[] {
  const chosen = new Map<Digest, { readonly image: ImageRecord; readonly tags: Set<string> }>();
  const choose = (image: ImageRecord, tags: readonly string[]): void => {
    const known = chosen.get(image.id) ?? { image, tags: new Set<string>() };
    for (const tag of tags) known.tags.add(tag);
    chosen.set(image.id, known);
  };
  for (const text of references) {
    const reference = tryParseReference(text);
    const named = reference === undefined ? [] : room.catalog.tagged(reference);
    for (const { image, tag } of named) choose(image, [tag]);
    if (named.length === 0) choose(room.catalog.find(text), []);
  }
  return [...chosen.values()].map(({ image, tags }) => describe(room, image, [...tags].sort()));
}

function describe(room: ImageRoom, image: ImageRecord, tags: readonly string[]): SavedImage {
  const config = room.catalog.configBytes(image.id);
  const layers = [...room.layers.chain(image.chainId)].reverse();
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: configType, digest: image.id, size: config.length },
      layers: layers.map((layer) => ({ mediaType: layerType, digest: layer.diffId, size: layer.tarSize })),
    }),
  );
  return { image, config, manifest, layers, tags };
}

const blobPath = (digest: Digest): string =>
  `blobs/${digest.slice(0, digest.indexOf(":"))}/${digestHex(digest)}`;

function dockerManifest(images: readonly SavedImage[]): unknown {
  return images.map(({ image, layers, tags }) => ({
    Config: blobPath(image.id),
    RepoTags: tags.length === 0 ? null : tags,
    Layers: layers.map((layer) => blobPath(layer.diffId)),
    LayerSources: Object.fromEntries(
      layers.map((layer) => [
        layer.diffId,
        { mediaType: layerType, size: layer.tarSize, digest: layer.diffId },
      ]),
    ),
  }));
}

function ociIndex(images: readonly SavedImage[]): unknown {
  const manifests = images.flatMap(({ manifest, tags }) => {
    const descriptor = { mediaType: manifestType, digest: sha256(manifest), size: manifest.length };
    if (tags.length === 0) return [descriptor];
    return tags.map((tag) => {
      const { domain, path, tag: label } = parseReference(tag);
      const annotations = {
        "io.containerd.image.name": `${domain}/${path}:${label}`,
        "org.opencontainers.image.ref.name": label,
      };
      return { ...descriptor, annotations };
    });
  });
  return { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests };
}

/** The old file of docker before 1.10: repository and tag to the top layer. */
function repositories(images: readonly SavedImage[]): unknown {
  const map: Record<string, Record<string, string>> = {};
  for (const { layers, tags } of images) {
    const top = layers.at(-1);
    if (top === undefined) continue;
    for (const tag of tags) {
      const reference = parseReference(tag);
      (map[familiarRepository(reference)] ??= {})[reference.tag ?? "latest"] = digestHex(top.diffId);
    }
  }
  return map;
}

async function* write(
  room: ImageRoom,
  images: readonly SavedImage[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  using hold = room.holds.create();
  for (const { image } of images) hold.keep(image.id);
  const written = new Set<Digest>();
  const isNew = (digest: Digest): boolean => !written.has(digest) && written.add(digest).has(digest);
  for (const path of ["blobs", "blobs/sha256"]) yield tarHeader({ path, type: "dir" });
  for (const { image, config, manifest, layers } of images) {
    for (const layer of layers) if (isNew(layer.diffId)) yield* layerFile(room, layer, signal);
    if (isNew(image.id)) yield* smallFile(blobPath(image.id), config);
    if (isNew(sha256(manifest))) yield* smallFile(blobPath(sha256(manifest)), manifest);
  }
  yield* smallFile("index.json", json(ociIndex(images)));
  yield* smallFile("manifest.json", json(dockerManifest(images)));
  yield* smallFile("oci-layout", json({ imageLayoutVersion: "1.0.0" }));
  yield* smallFile("repositories", json(repositories(images)));
  yield tarTrailer;
}

async function* layerFile(
  room: ImageRoom,
  layer: LayerRow,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  yield tarHeader({ path: blobPath(layer.diffId), type: "file", size: layer.tarSize });
  yield* room.layers.tar(layer, signal);
  yield tarPadding(layer.tarSize);
}

function* smallFile(path: string, bytes: Uint8Array): Generator<Uint8Array, void, void> {
  yield tarHeader({ path, type: "file", size: bytes.length });
  yield bytes;
  yield tarPadding(bytes.length);
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
