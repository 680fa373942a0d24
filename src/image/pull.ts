/**
 * From a source into the store: manifest, platform, config, layers, and at the end one transaction that makes all of it an
 * image with names. Until then nobody sees any of it, and what a failure leaves is collected.
 */
import type { Digest } from "../lib/index.ts";
import { digestName } from "./catalog.ts";
import { chainId } from "./chain-id.ts";
import { throwIfAborted } from "./child.ts";
import type { BlobRow } from "./content-records.ts";
import type { ImageManifest, RawManifest } from "./manifest.ts";
import { canonicalName, type Reference, withDefaultTag } from "./reference.ts";
import { type ResolvedConfig, resolveConfig, resolveManifest } from "./resolve-image.ts";
import type { ImageRoom } from "./room.ts";
import type { PulledImage, PullEvent, PullRequest } from "./transfer-types.ts";
import type { Hold, Layer } from "./types.ts";

/**
 * @throws {GantryError} "corrupt" for wrong bytes, "unsupported" for what is no image of this kind, "not-found" for no fitting
 * platform, "exhausted", "canceled", and what the source throws; nothing has changed then
 */
export async function pullImage(room: ImageRoom, request: PullRequest): Promise<PulledImage> {
  const { source, reference, platform, signal } = request;
  throwIfAborted(signal);
  const resolved = await resolveManifest({
    source,
    digest: reference.digest,
    platform,
    known: (digest) => room.records.manifest(digest),
    signal,
  });
  const [first] = resolved.path;
  const digest = first?.digest ?? resolved.manifest.config.digest;
  const config = await resolveConfig({ source, platform, signal }, resolved.manifest, (id) =>
    room.catalog.tryFind(id) === undefined ? undefined : room.catalog.configBytes(id),
  );
  const names = namesFor(request, digest);
  const isCurrent = names.every((name) => {
    const named = room.catalog.named(name);
    return named?.image === config.id && named.manifest === digest;
  });
  if (isCurrent) {
    for (const { digest: layer } of resolved.manifest.layers)
      request.onProgress?.({ layer, status: "exists" });
    return { id: config.id, digest, upToDate: true };
  }
  using hold = room.holds.create();
  using pins = new DisposableStack();
  try {
    const top = await fetchLayers(room, request, { manifest: resolved.manifest, config, hold, pins });
    record(room, { ...resolved, config, top, names, digest });
    return { id: config.id, digest, upToDate: false };
  } finally {
    pins.dispose();
    room.collector.soon();
  }
}

/** The tag and, beside it, the name by digest, as docker has them. A name with a digest is only that. */
function namesFor({ reference, keep }: PullRequest, digest: Digest): readonly string[] {
  const byDigest = digestName(reference, digest);
  if (keep === "digest-only" || reference.digest !== undefined) return [byDigest];
  const { domain, path, tag } = reference;
  const tagged: Reference = tag === undefined ? { domain, path } : { domain, path, tag };
  return [canonicalName(withDefaultTag(tagged)), byDigest];
}

interface FetchRequest {
  readonly manifest: ImageManifest;
  readonly config: ResolvedConfig;
  readonly hold: Hold;
  readonly pins: DisposableStack;
}

/** All layers at once; when one fails the others are called off. Returns the chain id of the top. */
async function fetchLayers(
  room: ImageRoom,
  { source, onProgress, signal }: PullRequest,
  { manifest, config, hold, pins }: FetchRequest,
): Promise<Digest | undefined> {
  const called = new AbortController();
  const all = signal === undefined ? called.signal : AbortSignal.any([signal, called.signal]);
  const layers: Promise<Layer>[] = [];
  let below: Digest | undefined;
  for (const [i, diffId] of config.config.rootfs.diff_ids.entries()) {
    const blob = manifest.layers[i];
    if (blob === undefined) break;
    const report = (status: PullEvent["status"], current?: number): void =>
      onProgress?.({
        layer: blob.digest,
        status,
        ...(current === undefined ? {} : { current, total: blob.size }),
      });
    below = chainId(below, diffId);
    const wish = {
      source,
      blob,
      diffId,
      chainId: below,
      parent: layers.at(-1),
      hold,
      pins,
      report,
      signal: all,
    };
    const layer = room.fetcher.layer(wish);
    layer.catch((error: unknown) => called.abort(error));
    layers.push(layer);
  }
  try {
    await Promise.all(layers);
    return below;
  } catch (error) {
    // None of them writes any more when the caller cleans up.
    await Promise.allSettled(layers);
    throwIfAborted(signal);
    throw error;
  }
}

interface RecordRequest {
  readonly path: readonly RawManifest[];
  readonly manifest: ImageManifest;
  readonly config: ResolvedConfig;
  readonly top: Digest | undefined;
  readonly names: readonly string[];
  readonly digest: Digest;
}

function record(room: ImageRoom, { path, manifest, config, top, names, digest }: RecordRequest): void {
  const { catalog, records } = room;
  const blobs = describeBlobs(room, manifest, config);
  const manifests = [...path].reverse();
  catalog.put({ id: config.id, config: config.bytes, chainId: top, parent: undefined }, names, {
    manifest: digest,
    also: () => {
      for (const blob of blobs) records.putBlob(blob);
      for (const [i, raw] of manifests.entries())
        records.putManifest({ ...raw, image: i === 0 ? config.id : undefined });
    },
  });
}

/** Records of the archives that are here: one whose layer had been here before was not fetched. */
function describeBlobs(
  { content, records }: ImageRoom,
  { layers }: ImageManifest,
  { config }: ResolvedConfig,
): readonly BlobRow[] {
  const rows: BlobRow[] = [];
  for (const [i, { digest, size }] of layers.entries()) {
    const diffId = config.rootfs.diff_ids[i];
    if (diffId === undefined || content.size(digest) === undefined || records.blob(digest) !== undefined)
      continue;
    const compression = content.compression(digest);
    rows.push({ digest, diffId, compression, level: undefined, size, usedMs: Date.now() });
  }
  return rows;
}
