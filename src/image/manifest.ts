/**
 * Manifests as data: OCI image-spec 1.1 (manifest.md, image-index.md, descriptor.md) and Docker image manifest v2, schema 2.
 * Foreign bytes are checked here once; who holds a Manifest need not check again. The bytes themselves are what has the
 * digest: they are kept and passed on, never written anew.
 */
import { type Digest, GantryError, isDigest } from "../lib/index.ts";

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

export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly "os.version"?: string;
  readonly "os.features"?: readonly string[];
  readonly variant?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** The content itself, base64. */
  readonly data?: string;
  readonly artifactType?: string;
  readonly platform?: Platform;
}

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

const kinds: Readonly<Record<string, Manifest["kind"]>> = {
  [mediaTypes.ociManifest]: "image",
  [mediaTypes.dockerManifest]: "image",
  [mediaTypes.ociIndex]: "index",
  [mediaTypes.dockerList]: "index",
};

/**
 * Checks a manifest.
 * @param mediaType of the transport (Content-Type, descriptor): must agree with the document's own field
 * @throws {GantryError} "unsupported" for schema 1 and unknown types, "corrupt" for what is no manifest
 */
export function parseManifest(bytes: Uint8Array, mediaType?: string): Manifest {
  if (bytes.length > maxManifestBytes)
    throw bad(`it has ${bytes.length} bytes, more than the ${maxManifestBytes} that a manifest may have`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw bad("it is no JSON document", cause);
  }
  const document = objectOf(value, "the manifest");
  if (document["schemaVersion"] === 1 || mediaType?.includes("docker.distribution.manifest.v1+") === true) throw schema1();
  if (document["schemaVersion"] !== 2)
    throw bad(`schemaVersion is ${shown(document["schemaVersion"])}, not 2`);
  const type = typeOf(document, mediaType);
  const kind = kinds[type];
  if (kind === undefined)
    throw new GantryError(
      "unsupported",
      `unsupported manifest media type ${JSON.stringify(type.slice(0, 200))}`,
      {
        hint: `known are: ${Object.keys(kinds).join(", ")}`,
      },
    );
  const parts: ManifestParts = {
    mediaType: type,
    ...optional("artifactType", optionalText(document, "artifactType")),
    ...optional("annotations", annotationsOf(document, "annotations")),
    ...optional(
      "subject",
      document["subject"] === undefined ? undefined : parseDescriptor(document["subject"], "subject"),
    ),
  };
  if (kind === "index") {
    refuseOther(document, ["layers", "config", "fsLayers"], "an index");
    return { kind, ...parts, manifests: descriptorsOf(document["manifests"], "manifests") };
  }
  refuseOther(document, ["manifests", "fsLayers"], "an image manifest");
  return {
    kind,
    ...parts,
    config: parseDescriptor(document["config"], "config"),
    layers: descriptorsOf(document["layers"], "layers"),
  };
}

/** @throws {GantryError} "corrupt", naming the field */
export function parseDescriptor(value: unknown, field: string): Descriptor {
  const document = objectOf(value, field);
  const { digest, size } = document;
  if (typeof digest !== "string" || !isDigest(digest)) throw bad(`${field}.digest is ${shown(digest)}`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw bad(`${field}.size is ${shown(size)}`);
  const mediaType = optionalText(document, "mediaType", field);
  if (mediaType === undefined) throw bad(`${field}.mediaType is missing`);
  const { urls, platform } = document;
  return {
    mediaType,
    digest,
    size,
    ...optional("urls", urls === undefined ? undefined : textsOf(urls, `${field}.urls`)),
    ...optional("annotations", annotationsOf(document, "annotations", field)),
    ...optional("data", optionalText(document, "data", field)),
    ...optional("artifactType", optionalText(document, "artifactType", field)),
    ...optional(
      "platform",
      platform === undefined || platform === null ? undefined : parsePlatform(platform, field),
    ),
  };
}

function parsePlatform(value: unknown, field: string): Platform {
  const document = objectOf(value, `${field}.platform`);
  const features = document["os.features"];
  return {
    architecture: optionalText(document, "architecture", field) ?? "",
    os: optionalText(document, "os", field) ?? "",
    ...optional("os.version", optionalText(document, "os.version", field)),
    ...optional(
      "os.features",
      features === undefined || features === null
        ? undefined
        : textsOf(features, `${field}.platform.os.features`),
    ),
    ...optional("variant", optionalText(document, "variant", field)),
  };
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
function typeOf(document: Readonly<Record<string, unknown>>, transport: string | undefined): string {
  const outer = transport?.split(";")[0]?.trim();
  const inner = optionalText(document, "mediaType");
  if (inner !== undefined && outer !== undefined && outer !== "" && inner !== outer)
    throw bad(`its mediaType is ${shown(inner)}, but it was given as ${shown(outer)}`);
  if (inner !== undefined) return inner;
  if (outer !== undefined && outer !== "") return outer;
  return "manifests" in document ? mediaTypes.ociIndex : mediaTypes.ociManifest;
}

function refuseOther(
  document: Readonly<Record<string, unknown>>,
  fields: readonly string[],
  kind: string,
): void {
  for (const field of fields) if (document[field] !== undefined) throw bad(`${kind} has no field ${field}`);
}

function descriptorsOf(value: unknown, field: string): readonly Descriptor[] {
  if (!Array.isArray(value)) throw bad(`${field} is ${shown(value)}, not a list`);
  if (value.length > maxDescriptors) throw bad(`${field} has more than ${maxDescriptors} entries`);
  return value.map((item, i) => parseDescriptor(item, `${field}[${i}]`));
}

function annotationsOf(
  document: Readonly<Record<string, unknown>>,
  key: string,
  field?: string,
): Readonly<Record<string, string>> | undefined {
  const value = document[key];
  if (value === undefined || value === null) return undefined;
  const name = field === undefined ? key : `${field}.${key}`;
  const entries: [string, string][] = [];
  for (const [at, text] of Object.entries(objectOf(value, name))) {
    if (typeof text !== "string") throw bad(`${name}[${shown(at)}] is ${shown(text)}, not a string`);
    entries.push([at, text]);
  }
  return Object.fromEntries(entries);
}

function textsOf(value: unknown, field: string): readonly string[] {
  if (!Array.isArray(value)) throw bad(`${field} is ${shown(value)}, not a list`);
  return value.map((item, i) => {
    if (typeof item !== "string") throw bad(`${field}[${i}] is ${shown(item)}, not a string`);
    return item;
  });
}

function optionalText(
  document: Readonly<Record<string, unknown>>,
  key: string,
  field?: string,
): string | undefined {
  const value = document[key];
  if (value === undefined || value === null) return undefined;
  const name = field === undefined ? key : `${field}.${key}`;
  if (typeof value !== "string") throw bad(`${name} is ${shown(value)}, not a string`);
  return value;
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}

function objectOf(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw bad(`${field} is ${shown(value)}, not an object`);
  return value as Readonly<Record<string, unknown>>;
}

const shown = (value: unknown): string => (JSON.stringify(value) ?? "missing").slice(0, 120);

function bad(why: string, cause?: unknown): GantryError {
  return new GantryError("corrupt", `invalid manifest: ${why}`, cause === undefined ? {} : { cause });
}

function schema1(): GantryError {
  return new GantryError(
    "unsupported",
    "the image has a manifest of schema version 1, which no tool makes any more and gantry does not read",
    { hint: "push the image anew with a docker of version 1.10 or later, which writes schema version 2" },
  );
}
