/** Images of the store as a tar of an OCI layout, with manifests and archives of layers as they came: the digests stay. */
import {
  canonicalName,
  childrenOf,
  type Descriptor,
  type ImageSource,
  type ImageStore,
  isManifestType,
  isNonDistributable,
  mediaTypes,
  parseReference,
  walkIndex,
  withDefaultTag,
} from "../image/index.ts";
import {
  type Digest,
  digestAlgorithm,
  digestHex,
  GantryError,
  tarHeader,
  tarPadding,
  tarTrailer,
} from "../lib/index.ts";

/** @param names of images that are here */
export async function* layoutArchive(
  images: ImageStore,
  names: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const written = new Set<Digest>();
  const entries: Descriptor[] = [];
  for (const name of names) {
    await using source = await images.source(name);
    const root = await source.manifest(undefined, signal);
    const { digest, mediaType, bytes } = root;
    const fetch = ({ digest: child }: Descriptor) => source.manifest(child, signal);
    for await (const { raw, manifest } of walkIndex(root, { fetch })) {
      for (const blob of childrenOf(manifest))
        if (!isManifestType(blob.mediaType) && !isNonDistributable(blob))
          yield* file(source, blob, { written, signal });
      yield* small(pathOf(raw.digest), raw.bytes);
    }
    entries.push({ mediaType, digest, size: bytes.length, annotations: namesOf(name, images) });
  }
  yield* small("index.json", json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries }));
  yield* small("oci-layout", json({ imageLayoutVersion: "1.0.0" }));
  yield tarTrailer;
}

/** An image that was asked for by its id has none. */
function namesOf(name: string, images: ImageStore): Readonly<Record<string, string>> {
  const reference = withDefaultTag(parseReference(name));
  const isName = images
    .find(name)
    .repoTags.some((tag) => canonicalName(parseReference(tag)) === canonicalName(reference));
  if (!isName || reference.tag === undefined) return {};
  return {
    "io.containerd.image.name": canonicalName(reference),
    "org.opencontainers.image.ref.name": reference.tag,
  };
}

interface FileOptions {
  readonly written: Set<Digest>;
  readonly signal: AbortSignal;
}

async function* file(
  source: ImageSource,
  blob: Descriptor,
  { written, signal }: FileOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const { digest, size } = blob;
  if (written.has(digest)) return;
  written.add(digest);
  yield tarHeader({ path: pathOf(digest), type: "file", size });
  let sent = 0;
  for await (const piece of source.blob(blob, { signal })) {
    sent += piece.length;
    if (sent > size) break;
    yield piece;
  }
  if (sent !== size)
    throw new GantryError("corrupt", `the blob ${digest} is not of the size that its manifest says`);
  yield tarPadding(size);
}

function* small(path: string, bytes: Uint8Array): Generator<Uint8Array, void, void> {
  yield tarHeader({ path, type: "file", size: bytes.length });
  yield bytes;
  yield tarPadding(bytes.length);
}

const pathOf = (digest: Digest): string => `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
