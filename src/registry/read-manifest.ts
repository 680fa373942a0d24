/** What the registry wants to know of a manifest that is pushed: what it points to, and how lists of referrers show it. */
import {
  childrenOf,
  type Descriptor,
  isManifestType,
  isNonDistributable,
  type Manifest,
  parseDescriptor,
  parseManifest,
  parseStrictJson,
} from "../image/index.ts";
import { type Digest, messageOf } from "../lib/index.ts";
import { RegistryError } from "./errors.ts";

export interface ReadManifest {
  readonly mediaType: string;
  readonly blobs: readonly Digest[];
  /** Blobs that need not be here: their urls say where they are. */
  readonly foreignBlobs: readonly Digest[];
  readonly manifests: readonly Digest[];
  /** Bytes of the blobs. */
  readonly blobBytes: number;
  readonly subject: Digest | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

const mediaTypePattern = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$/;
const maxMediaTypeLength = 255;

/** @throws {RegistryError} "MANIFEST_INVALID" */
export function readManifest(bytes: Uint8Array, contentType: string | null): ReadManifest {
  const type = (contentType ?? "").split(";")[0]?.trim() ?? "";
  try {
    return isForeign(type) ? readForeign(bytes, type) : readImage(parseManifest(bytes, type));
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    throw new RegistryError("MANIFEST_INVALID", messageOf(error), { cause: error });
  }
}

/** A type that we do not know: an artifact of somebody's own. */
function isForeign(type: string): boolean {
  if (isManifestType(type) || !mediaTypePattern.test(type) || type.length > maxMediaTypeLength) return false;
  return !/^application\/(json|octet-stream|vnd\.docker\.distribution\.manifest\.v1\+.*)$|^text\//i.test(
    type,
  );
}

function readImage(manifest: Manifest): ReadManifest {
  const children = childrenOf(manifest);
  const isIndex = manifest.kind === "index";
  const ofConfig = manifest.kind === "image" ? manifest.config.mediaType : undefined;
  // Written as an empty text by tools that mean none.
  const artifactType = manifest.artifactType || ofConfig;
  return {
    mediaType: manifest.mediaType,
    ...(isIndex ? { blobs: [], foreignBlobs: [], blobBytes: 0 } : blobsOf(children)),
    manifests: isIndex ? children.map(({ digest }) => digest) : [],
    subject: manifest.subject?.digest,
    artifactType,
    annotations: manifest.annotations,
  };
}

/** Whatever stands where manifests have their descriptors is one. */
function readForeign(bytes: Uint8Array, mediaType: string): ReadManifest {
  const document = objectOf(
    parseStrictJson(bytes, (why) => new RegistryError("MANIFEST_INVALID", `invalid manifest: ${why}`)),
  );
  const own = document["mediaType"];
  if (own !== undefined && own !== mediaType)
    throw new RegistryError("MANIFEST_INVALID", `its mediaType is ${JSON.stringify(own)}, not ${mediaType}`);
  const blobs = ["config", "layers", "blobs"].flatMap((field) => descriptorsIn(document, field));
  const { artifactType, annotations } = document;
  return {
    mediaType,
    ...blobsOf(blobs),
    manifests: descriptorsIn(document, "manifests").map(({ digest }) => digest),
    subject: descriptorsIn(document, "subject")[0]?.digest,
    artifactType: typeof artifactType === "string" && artifactType !== "" ? artifactType : undefined,
    annotations: textsOf(annotations),
  };
}

function blobsOf(
  descriptors: readonly Descriptor[],
): Pick<ReadManifest, "blobs" | "foreignBlobs" | "blobBytes"> {
  const all = new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor]));
  const own = [...all.values()].filter((descriptor) => !isNonDistributable(descriptor));
  const foreign = [...all.values()].filter(isNonDistributable);
  return {
    blobs: own.map(({ digest }) => digest),
    foreignBlobs: foreign.map(({ digest }) => digest),
    blobBytes: own.reduce((sum, { size }) => sum + size, 0),
  };
}

function descriptorsIn(document: Readonly<Record<string, unknown>>, field: string): readonly Descriptor[] {
  const value = document[field];
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]).map((item, i) => parseDescriptor(item, `${field}[${i}]`));
}

function textsOf(value: unknown): Readonly<Record<string, string>> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new RegistryError("MANIFEST_INVALID", "the manifest is no JSON object");
  return { ...value };
}
