/** From what a name means at a source to one image: the index is followed to the manifest that fits, the config is read. */
import { type Digest, digestLike, GantryError, sha256 } from "../lib/index.ts";
import { maxConfigBytes, parseImageConfig } from "./image-config.ts";
import { readSmallBlob } from "./download.ts";
import type { ImageSource } from "./endpoint.ts";
import {
  type Descriptor,
  type ImageManifest,
  isNonDistributable,
  type Manifest,
  mediaTypes,
  parseManifest,
  type RawManifest,
} from "./manifest.ts";
import { choosePlatform, formatPlatform, hostPlatform, platformRank, type PlatformWish } from "./platform.ts";
import type { ImageConfig } from "./types.ts";

/** An index in an index is allowed; more of them is no image. */
const maxDepth = 4;
const configTypes: readonly string[] = [mediaTypes.ociConfig, mediaTypes.dockerConfig];
const layerTypes: readonly string[] = [
  mediaTypes.ociLayer,
  mediaTypes.ociLayerGzip,
  mediaTypes.ociLayerZstd,
  mediaTypes.dockerLayerGzip,
  "application/vnd.docker.image.rootfs.diff.tar",
  "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

export interface ResolvedManifest {
  /** From what the name means down to the manifest of the image. */
  readonly path: readonly RawManifest[];
  readonly manifest: ImageManifest;
}

export interface ResolveRequest {
  readonly source: ImageSource;
  /** The name's own digest. */
  readonly digest: Digest | undefined;
  readonly platform: PlatformWish | undefined;
  /** Manifests that are here already. */
  readonly known: (digest: Digest) => RawManifest | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws {GantryError} "not-found" when nothing fits the platform, "unsupported" for artifacts, "corrupt" */
export async function resolveManifest(request: ResolveRequest): Promise<ResolvedManifest> {
  const { source, digest, platform, known, signal } = request;
  let raw = (digest === undefined ? undefined : known(digest)) ?? (await source.manifest(digest, signal));
  checkDigest(raw, digest ?? raw.digest, source);
  const path = [raw];
  for (;;) {
    const manifest: Manifest = parseManifest(raw.bytes, raw.mediaType);
    if (manifest.kind === "image") {
      checkLayers(manifest, raw.digest);
      return { path, manifest };
    }
    if (path.length > maxDepth)
      throw new GantryError("corrupt", `${source.name}: the index leads to more than ${maxDepth} others`);
    const child = choosePlatform(manifest.manifests, platform ?? hostPlatform());
    raw = known(child.digest) ?? (await source.manifest(child.digest, signal));
    checkDigest(raw, child.digest, source);
    checkDescriptor(raw, child, source);
    path.push(raw);
  }
}

function checkDigest({ bytes }: RawManifest, expected: Digest, source: ImageSource): void {
  const actual = digestLike(expected, bytes);
  if (actual === expected) return;
  throw new GantryError("corrupt", `${source.name}: manifest ${expected} has another digest: ${actual}`, {
    hint: "the registry or what stands before it serves wrong bytes",
  });
}

function checkDescriptor(
  raw: RawManifest,
  { digest, size, mediaType }: Descriptor,
  source: ImageSource,
): void {
  if (raw.bytes.length !== size)
    throw new GantryError(
      "corrupt",
      `${source.name}: manifest ${digest} has ${raw.bytes.length} bytes, its index tells ${size}`,
    );
  if (parseManifest(raw.bytes, raw.mediaType).mediaType !== mediaType)
    throw new GantryError(
      "corrupt",
      `${source.name}: manifest ${digest} is ${raw.mediaType}, its index tells ${mediaType}`,
    );
}

function checkLayers({ artifactType, config, layers }: ImageManifest, digest: Digest): void {
  if (!configTypes.includes(config.mediaType)) {
    const type = artifactType ?? config.mediaType;
    throw new GantryError("unsupported", `${digest} is an artifact (${type}), not an image`);
  }
  for (const layer of layers) {
    const { mediaType } = layer;
    if (isNonDistributable(layer))
      throw new GantryError(
        "unsupported",
        `layer ${layer.digest} is not in the registry: it may only be had from ${layer.urls?.join(", ") ?? "elsewhere"}`,
        { hint: "foreign layers are of Windows images, which do not run here" },
      );
    if (!layerTypes.includes(mediaType))
      throw new GantryError("unsupported", `layer ${layer.digest} is of the unknown type ${mediaType}`);
  }
}

export interface ResolvedConfig {
  readonly id: Digest;
  readonly bytes: Uint8Array;
  readonly config: ImageConfig;
}

/**
 * @param own the bytes where the image is here already
 * @throws {GantryError} "corrupt" when config and manifest differ in the number of layers, "not-found" for another platform
 */
export async function resolveConfig(
  { source, platform, signal }: Pick<ResolveRequest, "source" | "platform" | "signal">,
  { config: descriptor, layers }: ImageManifest,
  own: (id: Digest) => Uint8Array | undefined,
): Promise<ResolvedConfig> {
  const bytes = own(descriptor.digest) ?? (await readSmallBlob(source, descriptor, maxConfigBytes, signal));
  const config = parseImageConfig(bytes);
  const count = config.rootfs.diff_ids.length;
  if (count !== layers.length)
    throw new GantryError(
      "corrupt",
      `${source.name}: the image config names ${count} layers, the manifest ${layers.length}`,
    );
  if (platform !== undefined && platformRank(platform, config) === undefined)
    throw new GantryError(
      "not-found",
      `${source.name} does not match the specified platform: wanted ${formatPlatform(platform)}, actual: ${formatPlatform(config)}`,
    );
  return { id: idOf(descriptor.digest, bytes), bytes, config };
}

/** An image's id is always the sha256 of its config, also where the manifest tells another digest of it. */
function idOf(digest: Digest, bytes: Uint8Array): Digest {
  return digest.startsWith("sha256:") ? digest : sha256(bytes);
}
