/** The OCI image layout (image-spec image-layout.md): index.json leads to manifests, these to config and layers. */
import { type Digest, GantryError, isDigest } from "../lib/index.ts";
import { Fields, hostArchitecture, parseJson } from "./image-config.ts";
import type { ArchivedImage } from "./load.ts";
import { tryParseReference } from "./reference.ts";
import type { ArchivedFile, Spool } from "./spool.ts";

const indexTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];
const manifestTypes = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];
const configTypes = [
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
];
const maxManifests = 1000;
const maxDepth = 3;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly fields: Fields;
}

function descriptor(value: unknown): Descriptor {
  const fields = new Fields(value, "a descriptor of the OCI layout");
  const digest = fields.text("digest") ?? "";
  if (!isDigest(digest) || !digest.startsWith("sha256:")) {
    throw new GantryError(
      "corrupt",
      `the OCI layout has an invalid digest: ${JSON.stringify(digest.slice(0, 160))}`,
    );
  }
  return { mediaType: fields.text("mediaType") ?? "", digest, fields };
}

/** The full names first; the short annotation may be a bare tag, which names nothing. */
function nameOf({ fields }: Descriptor): string | undefined {
  const annotations = fields.map("annotations") ?? {};
  const full = annotations["io.containerd.image.name"];
  if (full !== undefined) return full;
  const name = annotations["org.opencontainers.image.ref.name"];
  return name !== undefined && /[/:]/.test(name) && isTagged(name) ? name : undefined;
}

/** The specification allows other texts in the annotation. */
function isTagged(name: string): boolean {
  const reference = tryParseReference(name);
  return reference !== undefined && reference.digest === undefined;
}

/** Images for other machines, and the attestations that stand beside images, are passed over. */
function isForThisMachine({ fields }: Descriptor): boolean {
  if (fields.map("annotations")?.["vnd.docker.reference.type"] !== undefined) return false;
  const platform = fields.object("platform");
  if (platform === undefined) return true;
  return platform.text("os") === "linux" && platform.text("architecture") === hostArchitecture();
}

/** @throws {GantryError} "corrupt"; "unsupported" when no image is for this machine */
export function readOciLayout(spool: Spool, index: ArchivedFile): readonly ArchivedImage[] {
  const found = new Map<Digest, { readonly image: Omit<ArchivedImage, "names">; readonly names: string[] }>();
  const visit = (fields: Fields, inherited: string | undefined, depth: number): void => {
    const items = fields.list("manifests") ?? [];
    if (depth > maxDepth || items.length > maxManifests)
      throw new GantryError("corrupt", "the index of the OCI layout is too large");
    for (const item of items.map(descriptor)) {
      const name = nameOf(item) ?? inherited;
      if (indexTypes.includes(item.mediaType)) {
        visit(new Fields(document(spool, item), `index ${item.digest}`), name, depth + 1);
      } else if (isForThisMachine(item)) {
        const known = found.get(item.digest) ?? { image: readManifest(spool, item), names: [] };
        if (name !== undefined) known.names.push(name);
        found.set(item.digest, known);
        if (found.size > maxManifests)
          throw new GantryError("corrupt", `the OCI layout holds more than ${maxManifests} images`);
      }
    }
  };
  visit(new Fields(spool.json(index, "index.json"), "index.json"), undefined, 0);
  if (found.size === 0)
    throw new GantryError("unsupported", `the archive holds no image for linux/${hostArchitecture()}`);
  return [...found.values()].map(({ image, names }) => ({ ...image, names }));
}

function document(spool: Spool, { digest }: Descriptor): unknown {
  return spool.json(spool.blob(digest), digest);
}

function readManifest(spool: Spool, item: Descriptor): Omit<ArchivedImage, "names"> {
  if (item.mediaType !== "" && !manifestTypes.includes(item.mediaType)) {
    throw new GantryError(
      "unsupported",
      `the OCI layout holds ${JSON.stringify(item.mediaType)}, which is no image`,
    );
  }
  const bytes = spool.bytes(spool.blob(item.digest), item.digest);
  const manifest = new Fields(parseJson(bytes, item.digest), `manifest ${item.digest}`);
  const config = descriptor(manifest.raw("config"));
  if (!configTypes.includes(config.mediaType)) {
    throw new GantryError(
      "unsupported",
      `manifest ${item.digest} is of an artifact (${config.mediaType}), not of an image`,
    );
  }
  return {
    config: spool.bytes(spool.blob(config.digest), config.digest),
    layers: (manifest.list("layers") ?? []).map((layer) => spool.blob(descriptor(layer).digest)),
    manifests: item.mediaType === "" ? [] : [{ digest: item.digest, mediaType: item.mediaType, bytes }],
  };
}
