/**
 * The store as a source of one image, for push and copy. What came from elsewhere goes out as it came. An image that was
 * made here gets an OCI manifest now, which is kept: the same image is always pushed as the same bytes. OCI and not Docker's
 * schema 2, because zstd layers exist only there, and every registry and client in use takes it.
 */
import { type Digest, GantryError, sha256 } from "../lib/index.ts";
import { compressionLevel } from "./compress.ts";
import { compressLayer, type Form, layerTypes } from "./compress-layer.ts";
import type { BlobRow, ManifestRow } from "./content-records.ts";
import type { BlobRead, ImageSource, ImageTarget } from "./endpoint.ts";
import { Limiter } from "./limiter.ts";
import {
  type Descriptor,
  type ImageManifest,
  mediaTypes,
  parseManifest,
  type RawManifest,
} from "./manifest.ts";
import type { LayerRow } from "./records.ts";
import { canonicalName, tryParseReference, withDefaultTag } from "./reference.ts";
import type { ImageRoom } from "./room.ts";
import type { SourceOptions } from "./transfer-types.ts";
import type { Hold, ImageRecord } from "./types.ts";

/** @throws {GantryError} "not-found" */
export async function openStoreSource(
  room: ImageRoom,
  reference: string,
  options: SourceOptions,
): Promise<ImageSource> {
  if (options.compression !== undefined) compressionLevel(options.compression, options.level);
  return new StoreSource(room, room.catalog.find(reference), reference, options);
}

/** The last bytes of one layer are brought to disk while the next one is compressed. */
const layersAtOnce = 2;

class StoreSource implements ImageSource {
  readonly name: string;
  readonly #room: ImageRoom;
  readonly #image: ImageRecord;
  readonly #reference: string;
  readonly #options: SourceOptions;
  readonly #config: Uint8Array;
  /** Bottom first. */
  readonly #layers: readonly LayerRow[];
  readonly #hold: Hold;
  readonly #pins = new DisposableStack();
  #main: Promise<RawManifest> | undefined;
  #target: ImageTarget | undefined;

  constructor(room: ImageRoom, image: ImageRecord, reference: string, options: SourceOptions) {
    this.name = reference;
    this.#room = room;
    this.#image = image;
    this.#reference = reference;
    this.#options = options;
    this.#config = room.catalog.configBytes(image.id);
    this.#layers = [...room.layers.chain(image.chainId)].reverse();
    this.#hold = room.holds.create();
    this.#hold.keep(image.id);
  }

  streamTo(target: ImageTarget): void {
    this.#target = target;
  }

  async manifest(reference?: string, signal?: AbortSignal): Promise<RawManifest> {
    const isMain = reference === undefined || this.#tag() === reference;
    const main = rawOf(await (this.#main ??= this.#findManifest(signal)));
    if (isMain || main.digest === reference) return main;
    const known = [...this.#kept(), ...this.#index()].find(({ digest }) => digest === reference);
    if (known !== undefined) return rawOf(known);
    throw new GantryError("not-found", `${this.name} has no manifest ${reference.slice(0, 160)} here`);
  }

  #tag(): string | undefined {
    const reference = tryParseReference(this.#reference);
    return reference === undefined ? undefined : withDefaultTag(reference).tag;
  }

  /** The index or manifest that the name means, if it is known. */
  #named(): ManifestRow | undefined {
    const reference = tryParseReference(this.#reference);
    if (reference === undefined) return undefined;
    const named = this.#room.catalog.named(canonicalName(withDefaultTag(reference)));
    if (named?.image !== this.#image.id || named.manifest === undefined) return undefined;
    return this.#room.records.manifest(named.manifest);
  }

  #index(): readonly ManifestRow[] {
    const named = this.#named();
    return named === undefined ? [] : [named];
  }

  /** The manifests of the image: those that the name leads to come first. */
  #kept(): readonly ManifestRow[] {
    const { records } = this.#room;
    const rows = records.manifestsOf(this.#image.id);
    const named = this.#named();
    if (named === undefined) return rows;
    const isNamed = ({ digest }: ManifestRow): boolean =>
      digest === named.digest || records.isChild(named.digest, digest);
    return [...rows.filter(isNamed), ...rows.filter((row) => !isNamed(row))];
  }

  async #findManifest(signal: AbortSignal | undefined): Promise<RawManifest> {
    for (const row of this.#kept()) {
      const manifest = parseManifest(row.bytes, row.mediaType);
      if (manifest.kind !== "image" || !this.#isAsWished(manifest)) continue;
      if (await this.#prepare(manifest, signal)) return this.#wholeIndex(row) ?? row;
    }
    return this.#make(signal);
  }

  /** An index of which everything is here is what the name means. */
  #wholeIndex({ digest }: ManifestRow): RawManifest | undefined {
    const named = this.#named();
    if (named === undefined || named.image !== undefined || this.#options.compression !== undefined)
      return undefined;
    const manifest = parseManifest(named.bytes, named.mediaType);
    return manifest.kind === "index" && manifest.manifests.every((child) => child.digest === digest)
      ? named
      : undefined;
  }

  #isAsWished({ layers }: ImageManifest): boolean {
    const { compression } = this.#options;
    return (
      compression === undefined ||
      layers.every(({ digest, mediaType }) => {
        const row = this.#room.records.blob(digest);
        return row === undefined ? mediaType === layerTypes[compression] : this.#fits(row);
      })
    );
  }

  #fits({ compression, level }: Pick<BlobRow, "compression" | "level">): boolean {
    const wish = this.#options;
    if (wish.compression === undefined) return true;
    if (wish.compression !== compression) return false;
    return wish.level === undefined || wish.level === level;
  }

  /** Sees to it that all layers of a manifest can be read; false when one is not here and cannot be made again. */
  async #prepare({ layers }: ImageManifest, signal: AbortSignal | undefined): Promise<boolean> {
    const { content, records } = this.#room;
    for (const { digest, mediaType } of layers) {
      this.#pins.use(content.pin(digest));
      records.touchBlob(digest, Date.now());
      if (content.size(digest) !== undefined || this.#layers.some((layer) => layer.diffId === digest))
        continue;
      const row = records.blob(digest);
      const layer = this.#layers.find(({ diffId }) => diffId === row?.diffId);
      if (row?.level === undefined || layer === undefined || row.compression === "none") return false;
      // It may have been sent there before: not a second time.
      const isThere = await this.#target?.hasBlob({ mediaType, digest, size: row.size }, signal);
      const target = isThere === true ? undefined : this.#target;
      const form = { compression: row.compression, level: row.level };
      const made = await this.#compress(layer, form, target, signal);
      if (made.digest !== digest) return false;
    }
    return true;
  }

  async #make(signal: AbortSignal | undefined): Promise<RawManifest> {
    const { records } = this.#room;
    const forms = await this.#forms(signal);
    const config = { mediaType: mediaTypes.ociConfig, digest: this.#image.id, size: this.#config.length };
    const layers = forms.map(({ compression, digest, size }) => ({
      mediaType: layerTypes[compression],
      digest,
      size,
    }));
    const mediaType = mediaTypes.ociManifest;
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers }));
    const raw = { digest: sha256(bytes), mediaType, bytes };
    this.#room.catalog.also(() => {
      for (const form of forms) records.putBlob(form);
      // The image may have been removed meanwhile: it still goes out, but nothing is kept of it.
      if (this.#room.catalog.tryFind(this.#image.id) !== undefined)
        records.putManifest({ ...raw, image: this.#image.id });
    });
    return raw;
  }

  async #forms(outer: AbortSignal | undefined): Promise<readonly BlobRow[]> {
    const limiter = new Limiter(layersAtOnce);
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, ...(outer === undefined ? [] : [outer])]);
    const running = this.#layers.map((layer) => limiter.run(() => this.#form(layer, signal)));
    try {
      return await Promise.all(running);
    } catch (error) {
      stop.abort(error);
      // None may go on when its pins are gone.
      await Promise.allSettled(running);
      throw error;
    }
  }

  /** A form of the layer that is here, else one that is made now. */
  async #form(layer: LayerRow, signal: AbortSignal | undefined): Promise<BlobRow> {
    const { content, records } = this.#room;
    const usedMs = Date.now();
    const { compression = "gzip", level } = this.#options;
    const { diffId } = layer;
    if (compression === "none")
      return { digest: diffId, diffId, compression, level: 0, size: layer.tarSize, usedMs };
    const known = records
      .blobsOf(diffId)
      .find((row) => row.compression !== "none" && this.#fits(row) && content.size(row.digest) !== undefined);
    if (known !== undefined) {
      this.#pins.use(content.pin(known.digest));
      return { ...known, usedMs };
    }
    const form = { compression, level: compressionLevel(compression, level) };
    return this.#compress(layer, form, this.#target, signal);
  }

  async #compress(
    layer: LayerRow,
    form: Form,
    target: ImageTarget | undefined,
    signal: AbortSignal | undefined,
  ): Promise<BlobRow> {
    const onMade = (digest: Digest): void => void this.#pins.use(this.#room.content.pin(digest));
    return compressLayer(this.#room, { layer, form, target, signal, onMade });
  }

  async *blob(
    blob: Descriptor,
    { offset = 0, signal }: BlobRead = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    const { content, layers } = this.#room;
    const { digest } = blob;
    if (content.size(digest) !== undefined) return yield* content.read(digest, offset);
    const layer = this.#layers.find(({ diffId }) => diffId === digest);
    if (layer !== undefined) return yield* withoutHead(layers.tar(layer, signal), offset);
    if (digest === this.#image.id || this.#isConfig(digest)) return yield this.#config.subarray(offset);
    throw new GantryError("not-found", `${this.name} has no blob ${digest} here`);
  }

  /** A manifest may call the config by a digest that is not the image's id. */
  #isConfig(digest: Digest): boolean {
    return this.#kept().some((row) => {
      const manifest = parseManifest(row.bytes, row.mediaType);
      return manifest.kind === "image" && manifest.config.digest === digest;
    });
  }

  async referrers(): Promise<readonly Descriptor[]> {
    return [];
  }

  async tags(): Promise<readonly string[]> {
    const reference = tryParseReference(this.#reference);
    if (reference === undefined) return [];
    const { domain, path } = reference;
    return this.#room.catalog
      .tagged({ domain, path })
      .flatMap(({ tag }) => tryParseReference(tag)?.tag ?? [])
      .sort();
  }

  repositories(blob: Descriptor): readonly string[] {
    return this.#room.records.namesWithBlob(blob.digest).flatMap((name) => {
      const reference = tryParseReference(name);
      return reference === undefined ? [] : `${reference.domain}/${reference.path}`;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hold.release();
    this.#pins.dispose();
    this.#room.collector.soon();
  }
}

function rawOf({ digest, mediaType, bytes }: RawManifest): RawManifest {
  return { digest, mediaType, bytes };
}

async function* withoutHead(
  source: AsyncIterable<Uint8Array>,
  offset: number,
): AsyncGenerator<Uint8Array, void, void> {
  let left = offset;
  for await (const chunk of source) {
    if (chunk.length > left) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}
