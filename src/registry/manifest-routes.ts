/** Manifests: GET, HEAD, PUT and DELETE (distribution-spec end-3, end-7, end-9). */
import type { RawManifest } from "../image/index.ts";
import { type Digest, digestLike, isDigest, sha256 } from "../lib/index.ts";
import { fallbackOf } from "./accept.ts";
import { Announcement } from "./announcement.ts";
import { content, empty } from "./answers.ts";
import type { BlobStore } from "./blob-store.ts";
import { RegistryError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { StoredManifest } from "./metadata.ts";
import { isTag } from "./names.ts";
import { type ReadManifest, readManifest } from "./read-manifest.ts";
import { guard, type Registry, tell } from "./registry.ts";
import { boundedBody } from "./request-body.ts";
import type { Sql } from "./sql.ts";

/** Tags in one push: the specification asks for ten. */
const maxTags = 100;
/** Blobs of a manifest that are looked for at once. */
const sizesAtOnce = 16;

export async function getManifest(
  registry: Registry,
  exchange: Exchange,
  repository: string,
  reference: string,
): Promise<Response> {
  const { headers, method } = exchange.request;
  let manifest = await find(registry, exchange, repository, reference);
  const instead = isDigest(reference) ? undefined : fallbackOf(manifest, headers.get("accept"));
  if (instead !== undefined) manifest = await find(registry, exchange, repository, instead);
  const { digest, mediaType, bytes } = manifest;
  const described = { "Content-Type": mediaType, "Docker-Content-Digest": digest, ETag: `"${digest}"` };
  if (headers.get("if-none-match") === `"${digest}"`) return empty(304, described);
  if (method === "HEAD") return content(200, null, bytes.length, described);
  tell(registry, exchange, "pull", {
    repository,
    digest,
    mediaType,
    size: bytes.length,
    kind: "manifest",
    ...(isDigest(reference) ? {} : { tag: reference }),
  });
  return content(200, new Uint8Array(bytes), bytes.length, described);
}

export async function putManifest(
  registry: Registry,
  exchange: Exchange,
  repository: string,
  reference: string,
): Promise<Response> {
  const tags = tagsOf(exchange, reference);
  await guard(registry, (one) => one.write?.(exchange, repository));
  const bytes = await boundedBody(exchange, registry.limits.maxManifestBytes);
  const digest = isDigest(reference) ? digestLike(reference, bytes) : sha256(bytes);
  if (isDigest(reference) && digest !== reference)
    throw new RegistryError("DIGEST_INVALID", `the manifest that was sent is ${digest}, not ${reference}`);
  const read = readManifest(bytes, exchange.request.headers.get("content-type"));
  const manifest: RawManifest = { digest, mediaType: read.mediaType, bytes };
  await record(registry, exchange, { repository, manifest, tags }, read);
  return empty(201, {
    Location: `/v2/${repository}/manifests/${digest}`,
    "Docker-Content-Digest": digest,
    "Content-Length": "0",
    ...(read.subject === undefined ? {} : { "OCI-Subject": read.subject }),
    ...(tags.length === 0 || !isDigest(reference) ? {} : { "OCI-Tag": tags.join(", ") }),
  });
}

export async function deleteManifest(
  registry: Registry,
  exchange: Exchange,
  repository: string,
  reference: string,
): Promise<Response> {
  const { metadata } = registry;
  await guard(registry, (one) => one.write?.(exchange, repository));
  await guard(registry, (one) => one.deleteManifest?.(exchange, repository, reference));
  const announcement = await Announcement.open(registry, exchange, "delete", repository);
  if (isDigest(reference)) {
    const target = { repository, digest: reference, kind: "manifest" } as const;
    const step = (tx: Sql): Promise<void> => announcement.keep(tx, [target]);
    if ((await metadata.deleteManifest(repository, reference, step)) === undefined)
      throw unknown(repository, reference);
  } else {
    const step = (tx: Sql, digest: Digest): Promise<void> =>
      announcement.keep(tx, [{ repository, digest, tag: reference, kind: "tag" }]);
    if (!isTag(reference) || (await metadata.deleteTag(repository, reference, step)) === undefined)
      throw unknown(repository, reference);
  }
  announcement.tell();
  return empty(202);
}

/** A manifest from here or from behind us: tags are asked for there, since they move. */
async function find(
  registry: Registry,
  exchange: Exchange,
  repository: string,
  reference: string,
): Promise<RawManifest> {
  const upstream = registry.upstreams.find((one) => one.serves(repository));
  const isStale = upstream !== undefined && !isDigest(reference);
  const own = isStale ? undefined : await stored(registry, repository, reference);
  if (own !== undefined) return own;
  const theirs = await upstream?.manifest(repository, reference, exchange.request.signal);
  if (theirs === undefined) throw unknown(repository, reference);
  return theirs;
}

async function stored(
  { metadata, limits, now }: Registry,
  repository: string,
  reference: string,
): Promise<StoredManifest | undefined> {
  if (!isDigest(reference) && !isTag(reference)) return undefined;
  const manifest = await metadata.manifest(repository, isDigest(reference) ? reference : { tag: reference });
  if (manifest !== undefined && now() - manifest.pulledMs > limits.touchMs)
    await metadata.touchManifest(repository, manifest.digest, now());
  return manifest;
}

interface Push {
  readonly repository: string;
  readonly manifest: RawManifest;
  readonly tags: readonly string[];
}

async function record(registry: Registry, exchange: Exchange, push: Push, read: ReadManifest): Promise<void> {
  const { blobs, metadata, now } = registry;
  const { repository, manifest, tags } = push;
  const totalBytes = manifest.bytes.length + read.blobBytes;
  const steps = await guard(registry, (one) => one.putManifest?.(exchange, { ...push, totalBytes }));
  // The repository is asked before the store, which is everybody's: an answer must not tell what others have.
  const unlinked = await metadata.unlinkedBlobs(repository, read.blobs);
  if (unlinked.size > 0 && !registry.allowSparse) throw missingChildren(repository, [...unlinked]);
  const own = read.blobs.filter((blob) => !unlinked.has(blob));
  const gone = await goneOf(blobs, own);
  if (gone.size > 0 && !registry.allowSparse) throw missingChildren(repository, [...gone]);
  await blobs.sync(own.filter((blob) => !gone.has(blob)));
  const pushed = { ...read, repository, manifest, tags, totalBytes };
  const { digest, mediaType, bytes } = manifest;
  const target = { repository, digest, mediaType, size: bytes.length, kind: "manifest" } as const;
  const announcement = await Announcement.open(registry, exchange, "push", repository);
  const told = tags.length === 0 ? [target] : tags.map((tag) => ({ ...target, tag }));
  const keep = (tx: Sql): Promise<void> => announcement.keep(tx, told);
  const missing = await metadata.putManifest(pushed, now(), registry.allowSparse, [...steps, keep]);
  if (missing.length > 0) throw missingChildren(repository, missing);
  announcement.tell();
}

/** Those of `digests` that have no bytes. A manifest may name many thousands: a few at a time are looked for. */
async function goneOf(blobs: BlobStore, digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
  const gone = new Set<Digest>();
  const left = digests.values();
  const look = async (): Promise<void> => {
    for (const digest of left) if ((await blobs.size(digest)) === undefined) gone.add(digest);
  };
  await Promise.all(Array.from({ length: sizesAtOnce }, look));
  return gone;
}

/** The tags that a push gives, by its address and by `tag` parameters. @throws {RegistryError} */
function tagsOf({ parameters }: Exchange, reference: string): readonly string[] {
  const more = [...new Set(parameters.getAll("tag"))];
  if (more.length > maxTags)
    throw new RegistryError("TAG_INVALID", `more than ${maxTags} tags in one push`, { status: 414 });
  const tags = isDigest(reference) ? more : [reference];
  const bad = [...tags, ...more].find((tag) => !isTag(tag));
  if (bad === undefined) return tags;
  if (reference.includes(":"))
    throw new RegistryError(
      "DIGEST_INVALID",
      `invalid or unsupported digest ${JSON.stringify(reference.slice(0, 160))}`,
    );
  throw new RegistryError("TAG_INVALID", `invalid tag ${JSON.stringify(bad.slice(0, 160))}`);
}

function missingChildren(repository: string, missing: readonly Digest[]): RegistryError {
  const [first] = missing;
  const others = missing.length === 1 ? "" : ` and ${missing.length - 1} more`;
  return new RegistryError("MANIFEST_BLOB_UNKNOWN", `${repository} does not have ${first}${others}`, {
    detail: missing.slice(0, 100).map((digest) => ({ digest })),
  });
}

function unknown(repository: string, reference: string): RegistryError {
  const named = JSON.stringify(reference.slice(0, 160));
  return new RegistryError("MANIFEST_UNKNOWN", `manifest unknown: ${repository} has no ${named}`, {
    detail: { name: repository, reference: reference.slice(0, 160) },
  });
}
