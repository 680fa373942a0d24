/**
 * Manifests as data: OCI image-spec 1.1 (manifest.md, image-index.md, descriptor.md) and Docker image manifest v2, schema 2.
 * Foreign bytes are checked here once; who holds a Manifest need not check again. The bytes themselves are what has the
 * digest: they are kept and passed on, never written anew.
 */
import { type Digest, GantryError } from "../lib/index.ts";
import {
  annotationsOf,
  bad,
  type Descriptor,
  isAbsent,
  mediaTypeOf,
  objectOf,
  optional,
  parseDescriptor,
  shown,
} from "./descriptor.ts";
import { caseTable, parseStrictJson, refuseOtherCase } from "./strict-json.ts";

export { type Descriptor, parseDescriptor, type Platform } from "./descriptor.ts";

export const mediaTypes = {
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  ociLayerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  ociLayerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  ociEmpty: "application/vnd.oci.empty.v1+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  dockerForeignLayer: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
} as const;

/** What a client that takes any image says in `Accept`. */
export const acceptedManifests: readonly string[] = [
  mediaTypes.ociManifest,
  mediaTypes.ociIndex,
  mediaTypes.dockerManifest,
  mediaTypes.dockerList,
];

/** distribution-spec, "Pushing Manifests": registries and clients accept manifests up to this size. */
export const maxManifestBytes = 4 << 20;

interface ManifestParts {
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ImageManifest extends ManifestParts {
  readonly kind: "image";
  readonly config: Descriptor;
  /** Bottom first. */
  readonly layers: readonly Descriptor[];
}

export interface ImageIndex extends ManifestParts {
  readonly kind: "index";
  readonly manifests: readonly Descriptor[];
}

export type Manifest = ImageManifest | ImageIndex;

/** Manifest bytes as they came. */
export interface RawManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** A manifest of more descriptors than this is refused: no image has them. */
const maxDescriptors = 20_000;

const kinds: ReadonlyMap<string, Manifest["kind"]> = new Map([
  [mediaTypes.ociManifest, "image"],
  [mediaTypes.dockerManifest, "image"],
  [mediaTypes.ociIndex, "index"],
  [mediaTypes.dockerList, "index"],
]);

/** What servers say that know nothing of manifests: the document's own word counts. */
const plainTypes = new Set(["", "application/json", "application/octet-stream", "text/plain"]);

const knownFields = caseTable([
  "schemaVersion",
  "mediaType",
  "artifactType",
  "config",
  "layers",
  "manifests",
  "subject",
  "annotations",
  "fsLayers",
]);

/** True for what `parseManifest` reads: an image's manifest or an index. */
export function isManifestType(mediaType: string): boolean {
  return kinds.has(mediaType);
}

/**
 * Checks a manifest. A document that two readers could understand differently is refused: keys that stand twice or in
 * another case, fields of the other kind, another type than the transport's.
 * @param mediaType of the transport (Content-Type, descriptor): must agree with the document's own field
 * @throws {GantryError} "unsupported" for schema 1 and unknown types, "corrupt" for what is no manifest
 */
export function parseManifest(bytes: Uint8Array, mediaType?: string): Manifest {
  if (bytes.length > maxManifestBytes)
    throw bad(`it has ${bytes.length} bytes, more than the ${maxManifestBytes} that a manifest may have`);
  const document = objectOf(parseStrictJson(bytes, bad), "the manifest");
  refuseOtherCase(document, knownFields, bad);
  const isFirst = document["schemaVersion"] === 1;
  if (isFirst || mediaType?.includes("docker.distribution.manifest.v1+") === true) throw schema1();
  if (document["schemaVersion"] !== 2)
    throw bad(`schemaVersion is ${shown(document["schemaVersion"])}, not 2`);
  const type = typeOf(document, mediaType);
  const kind = kinds.get(type);
  if (kind === undefined) throw unknownType(type);
  const { subject } = document;
  const parts: ManifestParts = {
    mediaType: type,
    ...optional("artifactType", mediaTypeOf(document, "artifactType")),
    ...optional("annotations", annotationsOf(document, "annotations")),
    ...optional("subject", isAbsent(subject) ? undefined : parseDescriptor(subject, "subject")),
  };
  if (kind === "index") {
    refuseOther(document, ["layers", "config", "fsLayers"], "an index");
    return { kind, ...parts, manifests: descriptorsOf(document["manifests"], "manifests") };
  }
  refuseOther(document, ["manifests", "fsLayers"], "an image manifest");
  const config = parseDescriptor(document["config"], "config");
  return { kind, ...parts, config, layers: descriptorsOf(document["layers"], "layers") };
}

function unknownType(type: string): GantryError {
  const shownType = JSON.stringify(type.slice(0, 200));
  return new GantryError("unsupported", `unsupported manifest media type ${shownType}`, {
    hint: `known are: ${[...kinds.keys()].join(", ")}`,
  });
}

/** All that a manifest points to but its subject, which need not be there. */
export function childrenOf(manifest: Manifest): readonly Descriptor[] {
  return manifest.kind === "index" ? manifest.manifests : [manifest.config, ...manifest.layers];
}

/** Layers that a registry need not have: they are fetched from their urls, if at all. */
export function isNonDistributable({ mediaType }: Descriptor): boolean {
  return (
    mediaType === mediaTypes.dockerForeignLayer ||
    mediaType.startsWith("application/vnd.oci.image.layer.nondistributable.v1.tar")
  );
}

/** The document's own type and the transport's must agree: a manifest that reads as two things is an attack. */
function typeOf(document: Readonly<Record<string, unknown>>, transport = ""): string {
  const said = transport.split(";")[0]?.trim() ?? "";
  const outer = plainTypes.has(said.toLowerCase()) ? undefined : said;
  const inner = mediaTypeOf(document, "mediaType");
  if (inner !== undefined && outer !== undefined && inner !== outer)
    throw bad(`its mediaType is ${shown(inner)}, but it was given as ${shown(outer)}`);
  return inner ?? outer ?? ("manifests" in document ? mediaTypes.ociIndex : mediaTypes.ociManifest);
}

function refuseOther(
  document: Readonly<Record<string, unknown>>,
  fields: readonly string[],
  kind: string,
): void {
  for (const field of fields) if (document[field] !== undefined) throw bad(`${kind} has no field ${field}`);
}

function descriptorsOf(value: unknown, field: string): readonly Descriptor[] {
  // Go writes an empty list as null.
  if (value === null) return [];
  if (!Array.isArray(value)) throw bad(`${field} is ${shown(value)}, not a list`);
  if (value.length > maxDescriptors) throw bad(`${field} has more than ${maxDescriptors} entries`);
  return value.map((item, i) => parseDescriptor(item, `${field}[${i}]`));
}

function schema1(): GantryError {
  return new GantryError(
    "unsupported",
    "the image has a manifest of schema version 1, which no tool makes any more and gantry does not read",
    { hint: "push the image anew with a docker of version 1.10 or later, which writes schema version 2" },
  );
}
