/**
 * `gantry image verify`: everything an image consists of is read and hashed again, and what is damaged is made anew: an
 * unpacked layer from its archive, an archive or config from the registry that the image's name tells.
 */
import { type Digest, digestLike, messageOf } from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";
import type { ManifestRow } from "./content-records.ts";
import type { ImageSource } from "./endpoint.ts";
import { readSmallBlob } from "./download.ts";
import { maxConfigBytes } from "./image-config.ts";
import { type Descriptor, mediaTypes, parseManifest } from "./manifest.ts";
import type { LayerRow } from "./records.ts";
import { repairBlob } from "./repair-blob.ts";
import type { ImageRoom } from "./room.ts";
import type { VerifiedItem, VerifyReport, VerifyRequest } from "./transfer-types.ts";
import type { ImageRecord } from "./types.ts";
import { remakeLayer, verifyBlob, verifyLayer } from "./verify-layer.ts";

export async function verifyImages(room: ImageRoom, request: VerifyRequest): Promise<VerifyReport> {
  const named = request.references?.map((text) => room.catalog.find(text));
  const images = named === undefined ? room.catalog.list() : [...new Set(named)];
  using hold = room.holds.create();
  for (const image of images) hold.keep(image.id);
  await using sources = new Sources(room, request);
  const check = new Check(room, request, sources);
  for (const image of images) {
    throwIfAborted(request.signal);
    await check.image(image);
  }
  return check.report();
}

/** The registries that images came from, opened when the first thing is damaged. */
class Sources implements AsyncDisposable {
  readonly #room: ImageRoom;
  readonly #repair: VerifyRequest["repair"];
  readonly #open = new Map<string, ImageSource | undefined>();

  constructor(room: ImageRoom, { repair }: VerifyRequest) {
    this.#room = room;
    this.#repair = repair;
  }

  get canRepair(): boolean {
    return this.#repair !== undefined;
  }

  /** Of an image's names: the digest names what it came as, whatever a tag means by now. */
  async *of(image: Digest): AsyncGenerator<ImageSource, void, void> {
    const names = [...this.#room.catalog.namesOf(image)].sort(
      (a, b) => Number(b.includes("@")) - Number(a.includes("@")),
    );
    for (const name of names) {
      if (!this.#open.has(name)) this.#open.set(name, await this.#repair?.(name));
      const source = this.#open.get(name);
      if (source !== undefined) yield source;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const source of this.#open.values()) await source?.[Symbol.asyncDispose]();
  }
}

interface Found {
  readonly damage: string | undefined;
  readonly missing?: boolean;
  readonly bytes: number;
}

class Check {
  readonly #room: ImageRoom;
  readonly #request: VerifyRequest;
  readonly #sources: Sources;
  /** What was looked at already: images share layers. */
  readonly #seen = new Set<string>();
  readonly #users: ReadonlyMap<Digest, readonly Digest[]>;
  readonly #damaged: VerifiedItem[] = [];
  #items = 0;
  #bytes = 0;

  constructor(room: ImageRoom, request: VerifyRequest, sources: Sources) {
    this.#room = room;
    this.#request = request;
    this.#sources = sources;
    const users = new Map<Digest, Digest[]>();
    for (const image of room.catalog.list())
      for (const { chainId } of room.layers.chain(image.chainId))
        users.set(chainId, [...(users.get(chainId) ?? []), image.id]);
    this.#users = users;
  }

  report(): VerifyReport {
    return { items: this.#items, bytes: this.#bytes, damaged: this.#damaged };
  }

  async image({ id, chainId }: ImageRecord): Promise<void> {
    for (const { digest } of [...this.#indexesOf(id), ...this.#room.records.manifestsOf(id)])
      await this.#manifest(digest, id);
    // Its size is told by the manifest.
    await this.#config(id);
    // From the bottom: a layer inherits from those below.
    for (const layer of [...this.#room.layers.chain(chainId)].reverse()) await this.#layer(layer);
  }

  #indexesOf(id: Digest): readonly ManifestRow[] {
    const { catalog, records } = this.#room;
    return catalog.namesOf(id).flatMap((name) => {
      const { manifest } = catalog.named(name) ?? {};
      const row = manifest === undefined ? undefined : records.manifest(manifest);
      return row?.image === undefined && row !== undefined ? [row] : [];
    });
  }

  async #config(id: Digest): Promise<void> {
    const { catalog } = this.#room;
    const look = async (): Promise<Found> => {
      const bytes = catalog.storedConfig(id);
      return { damage: differs(id, bytes), bytes: bytes.length };
    };
    const repair = async (source: ImageSource): Promise<boolean> => {
      const blob = { mediaType: mediaTypes.ociConfig, digest: id, size: this.#configSize(id) };
      catalog.restoreConfig(id, await readSmallBlob(source, blob, maxConfigBytes, this.#request.signal));
      return true;
    };
    await this.#check({ kind: "config", digest: id, images: [id], look, repair });
  }

  #configSize(id: Digest): number {
    for (const { bytes, mediaType } of this.#room.records.manifestsOf(id)) {
      const manifest = parseManifest(bytes, mediaType);
      if (manifest.kind === "image") return manifest.config.size;
    }
    return this.#room.catalog.configBytes(id).length;
  }

  async #manifest(digest: Digest, image: Digest): Promise<void> {
    const { records } = this.#room;
    const look = async (): Promise<Found> => {
      const bytes = records.manifest(digest)?.bytes ?? new Uint8Array();
      return { damage: differs(digest, bytes), bytes: bytes.length };
    };
    await this.#check({
      kind: "manifest",
      digest,
      images: [image],
      look,
      repair: async (source) => {
        const raw = await source.manifest(digest, this.#request.signal);
        if (digestLike(digest, raw.bytes) !== digest) return false;
        records.restoreManifest(digest, raw.bytes);
        return true;
      },
    });
  }

  async #layer(layer: LayerRow): Promise<void> {
    const images = this.#users.get(layer.chainId) ?? [];
    for (const { digest, size } of this.#blobsOf(layer))
      await this.#blob({ mediaType: "", digest, size }, images);
    await this.#check({
      kind: "layer",
      digest: layer.diffId,
      key: `layer ${layer.chainId}`,
      images,
      look: () => verifyLayer(this.#room, layer, this.#request.signal),
      remake: () => remakeLayer(this.#room, layer, this.#request.signal),
    });
  }

  /** Its archives that should be here. Caches of our own may be missing: they can be made again. */
  #blobsOf({ blob, diffId }: LayerRow): readonly Pick<Descriptor, "digest" | "size">[] {
    const { content, records } = this.#room;
    const rows = records
      .blobsOf(diffId)
      .filter(({ digest, level }) => level === undefined || content.size(digest) !== undefined);
    const own = blob === undefined || rows.some(({ digest }) => digest === blob) ? [] : [blob];
    return [...rows, ...own.map((digest) => ({ digest, size: content.size(digest) ?? 0 }))];
  }

  async #blob(blob: Descriptor, images: readonly Digest[]): Promise<void> {
    await this.#check({
      kind: "blob",
      digest: blob.digest,
      images,
      look: () => verifyBlob(this.#room.content, blob.digest, this.#request.signal),
      repair: async (source) => {
        await repairBlob(this.#room, { source, blob, signal: this.#request.signal });
        return true;
      },
    });
  }

  async #check(thing: {
    readonly kind: VerifiedItem["kind"];
    readonly digest: Digest;
    readonly images: readonly Digest[];
    readonly key?: string;
    readonly look: () => Promise<Found>;
    readonly repair?: (source: ImageSource) => Promise<boolean>;
    readonly remake?: () => Promise<void>;
  }): Promise<void> {
    const { kind, digest, images, key = `${kind} ${digest}`, look } = thing;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    throwIfAborted(this.#request.signal);
    const found = await look();
    this.#items++;
    this.#bytes += found.bytes;
    const item = await this.#judge({ kind, digest, images, state: "intact" }, found, thing);
    if (item.state !== "intact") this.#damaged.push(item);
    this.#request.onProgress?.(item);
  }

  async #judge(
    item: VerifiedItem,
    { damage, missing }: Found,
    {
      repair,
      remake,
      look,
    }: {
      readonly repair?: (source: ImageSource) => Promise<boolean>;
      readonly remake?: () => Promise<void>;
      readonly look: () => Promise<Found>;
    },
  ): Promise<VerifiedItem> {
    if (damage === undefined) return item;
    const broken: VerifiedItem = {
      ...item,
      state: missing === true ? "missing" : "damaged",
      message: damage,
    };
    if (!this.#sources.canRepair) return broken;
    const reasons: string[] = [];
    const attempt = async (work: () => Promise<unknown>): Promise<boolean> => {
      try {
        await work();
        const again = await look();
        if (again.damage !== undefined) reasons.push(again.damage);
        return again.damage === undefined;
      } catch (error) {
        throwIfAborted(this.#request.signal);
        reasons.push(messageOf(error));
        return false;
      }
    };
    const repaired: VerifiedItem = { ...item, state: "repaired", message: damage };
    if (remake !== undefined && (await attempt(remake))) return repaired;
    if (repair !== undefined)
      for (const image of item.images)
        for await (const source of this.#sources.of(image))
          if (await attempt(() => repair(source))) return repaired;
    const why = reasons.at(-1) ?? "no name of the image tells a registry";
    return { ...broken, message: `${damage}; it could not be repaired: ${why}` };
  }
}

function differs(digest: Digest, bytes: Uint8Array): string | undefined {
  const actual = digestLike(digest, bytes);
  return actual === digest ? undefined : `its digest now is ${actual}`;
}
