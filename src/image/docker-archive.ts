/** The docker-archive format (`docker save`, v1.2) as a source and target of one image. */
import { type Digest, digestHex, GantryError, sha256 } from "../lib/index.ts";
import { ArchiveFile } from "./archive-file.ts";
import { decompress, detectCompression, peek } from "./compression.ts";
import type { BlobRead, BlobWrite, ImageSource, ImageTarget } from "./endpoint.ts";
import { Fields, maxConfigBytes, parseJson } from "./image-config.ts";
import { type Descriptor, mediaTypes, parseManifest, type RawManifest } from "./manifest.ts";
import { familiarName, parseReference, tryParseReference, withDefaultTag } from "./reference.ts";
import { TarFile } from "./tar-file.ts";
import { verifiedBytes } from "./verified-bytes.ts";

const maxImages = 1000;
const layerTypes = {
  none: mediaTypes.ociLayer,
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
} as const;

/**
 * An OCI manifest is made for the image that the archive describes; its layers are as the archive has them.
 * @param reference one of its RepoTags; without, the archive must hold one image
 * @throws {GantryError} "not-found", "corrupt"
 */
export async function openDockerArchive(file: string, reference?: string): Promise<ImageSource> {
  const archive = await ArchiveFile.open(file);
  try {
    const items = readItems(archive);
    return await DockerArchiveSource.open(archive, choose(archive.name, items, reference), items);
  } catch (error) {
    await archive[Symbol.asyncDispose]();
    throw error;
  }
}

interface Item {
  readonly config: string;
  /** Familiar names. */
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

function readItems(archive: ArchiveFile): readonly Item[] {
  const document = parseJson(archive.bytes("manifest.json"), "manifest.json");
  if (!Array.isArray(document) || document.length > maxImages)
    throw new GantryError(
      "corrupt",
      `manifest.json of the archive is not a list of at most ${maxImages} images`,
    );
  return document.map((value: unknown) => {
    const fields = new Fields(value, "an item of manifest.json");
    const config = fields.text("Config");
    if (config === undefined) throw new GantryError("corrupt", "an item of manifest.json has no Config");
    return { config, tags: fields.texts("RepoTags") ?? [], layers: fields.texts("Layers") ?? [] };
  });
}

function choose(name: string, items: readonly Item[], reference: string | undefined): Item {
  const wanted =
    reference === undefined ? undefined : familiarName(withDefaultTag(parseReference(reference)));
  const isWanted = (tag: string): boolean => {
    const parsed = tryParseReference(tag);
    return parsed !== undefined && familiarName(withDefaultTag(parsed)) === wanted;
  };
  const found = wanted === undefined ? items : items.filter(({ tags }) => tags.some(isWanted));
  const [first, ...others] = found;
  const all = items.flatMap(({ tags }) => tags);
  const hint = all.length === 0 ? "its images have no names" : `there are: ${all.slice(0, 30).join(", ")}`;
  if (first === undefined)
    throw new GantryError("not-found", `no image ${wanted ?? ""} in ${name}`, { hint });
  if (others.length > 0)
    throw new GantryError("invalid", `${name} holds ${found.length} images: choose one`, { hint });
  return first;
}

class DockerArchiveSource implements ImageSource {
  readonly name: string;
  readonly #archive: ArchiveFile;
  readonly #items: readonly Item[];
  readonly #manifest: RawManifest;
  /** Path in the archive by digest. */
  readonly #paths: ReadonlyMap<Digest, string>;

  private constructor(
    archive: ArchiveFile,
    items: readonly Item[],
    made: { readonly manifest: RawManifest; readonly paths: ReadonlyMap<Digest, string> },
  ) {
    this.name = `docker-archive:${archive.name}`;
    this.#archive = archive;
    this.#items = items;
    this.#manifest = made.manifest;
    this.#paths = made.paths;
  }

  static async open(archive: ArchiveFile, item: Item, items: readonly Item[]): Promise<ImageSource> {
    const paths = new Map<Digest, string>();
    const describe = async (path: string): Promise<Descriptor> => {
      const file = archive.get(path);
      paths.set(file.digest, path);
      const { head, all } = await peek(archive.read(file), 6);
      await all.next();
      await all.return();
      return { mediaType: layerTypes[detectCompression(head)], digest: file.digest, size: file.size };
    };
    const bytes = archive.bytes(item.config);
    const config = { mediaType: mediaTypes.ociConfig, digest: sha256(bytes), size: bytes.length };
    paths.set(config.digest, item.config);
    const layers: Descriptor[] = [];
    for (const path of item.layers) layers.push(await describe(path));
    const mediaType = mediaTypes.ociManifest;
    const document = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers }));
    const manifest = { digest: sha256(document), mediaType, bytes: document };
    return new DockerArchiveSource(archive, items, { manifest, paths });
  }

  async manifest(reference?: string): Promise<RawManifest> {
    if (reference === undefined || reference === this.#manifest.digest) return this.#manifest;
    throw new GantryError("not-found", `${this.name} has no manifest ${reference.slice(0, 160)}`);
  }

  async *blob({ digest }: Descriptor, { offset = 0 }: BlobRead = {}): AsyncGenerator<Uint8Array, void, void> {
    const path = this.#paths.get(digest);
    if (path === undefined) throw new GantryError("not-found", `${this.name} has no blob ${digest}`);
    yield* this.#archive.read(this.#archive.get(path), offset);
  }

  async referrers(): Promise<readonly Descriptor[]> {
    return [];
  }

  async tags(): Promise<readonly string[]> {
    return this.#items.flatMap(({ tags }) => tags).sort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#archive[Symbol.asyncDispose]();
  }
}

/**
 * The tar appears under its name when the target is closed after its manifest, whole or not at all. Layers are decompressed.
 * @param reference what the image is to be named: its RepoTag
 */
export async function createDockerArchive(file: string, reference?: string): Promise<ImageTarget> {
  const name = reference === undefined ? undefined : familiarName(withDefaultTag(parseReference(reference)));
  return new DockerArchiveTarget(file, name);
}

const configTypes: readonly string[] = [mediaTypes.ociConfig, mediaTypes.dockerConfig];

class DockerArchiveTarget implements ImageTarget {
  readonly name: string;
  readonly #tag: string | undefined;
  readonly #tar: TarFile;
  /** In the tar, by the digest that the manifest has. */
  readonly #paths = new Map<Digest, string>();
  #layers = 0;
  #document: Uint8Array | undefined;

  constructor(file: string, tag: string | undefined) {
    this.name = `docker-archive:${file}`;
    this.#tag = tag;
    this.#tar = new TarFile(file);
  }

  async hasBlob({ digest }: Descriptor): Promise<boolean> {
    return this.#paths.has(digest);
  }

  async mountBlob(): Promise<boolean> {
    return false;
  }

  async putBlob(blob: Descriptor, write: BlobWrite): Promise<void> {
    const bytes = verifiedBytes(blob, write);
    const isConfig = configTypes.includes(blob.mediaType);
    if (isConfig && blob.size > maxConfigBytes)
      throw new GantryError("corrupt", `the image config is larger than ${maxConfigBytes} bytes`);
    const path = isConfig ? `${digestHex(blob.digest)}.json` : `layer-${this.#layers++}.tar`;
    if (isConfig) await this.#tar.add({ path, size: blob.size }, bytes);
    else await this.#tar.add({ path, size: undefined }, decompress(bytes, { maxBytes: Infinity }));
    this.#paths.set(blob.digest, path);
  }

  async hasManifest(): Promise<boolean> {
    return false;
  }

  async putManifest({ bytes, mediaType, digest }: RawManifest): Promise<void> {
    const manifest = parseManifest(bytes, mediaType);
    if (manifest.kind === "index")
      throw new GantryError("unsupported", "a docker-archive holds images of one platform only", {
        hint: "choose one with --platform, or write an oci-archive",
      });
    if (this.#document !== undefined)
      throw new GantryError("unsupported", "a docker-archive that gantry writes holds one image");
    const pathOf = (blob: Descriptor): string => {
      const path = this.#paths.get(blob.digest);
      if (path !== undefined) return path;
      throw new GantryError("not-found", `${this.name} lacks ${blob.digest}, which manifest ${digest} names`);
    };
    const item = {
      Config: pathOf(manifest.config),
      RepoTags: this.#tag === undefined ? null : [this.#tag],
      Layers: manifest.layers.map(pathOf),
    };
    this.#document = Buffer.from(JSON.stringify([item]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#document === undefined) return this.#tar.discard();
    await this.#tar.addBytes("manifest.json", this.#document);
    await this.#tar.finish();
  }
}
