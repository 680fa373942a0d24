/** Images on one machine: the door to this room. */
import type { Digest } from "../lib/index.ts";
import { Background } from "./background.ts";
import { Catalog } from "./catalog.ts";
import { Collector } from "./collect.ts";
import { ContentRecords } from "./content-records.ts";
import { ContentStore } from "./content-store.ts";
import { createImage, importTar, nameToGive } from "./create-image.ts";
import { LayerFetcher } from "./fetch-layer.ts";
import { spendableBytes } from "./free-space.ts";
import { historyOf } from "./history.ts";
import { Holds, type HoldTarget } from "./holds.ts";
import { Leases } from "./leases.ts";
import type { SnapshotterName } from "./layer-driver.ts";
import { LayerMaker } from "./layer-maker.ts";
import { LayerStore } from "./layer-store.ts";
import { loadImages } from "./load.ts";
import type { ImageSource } from "./endpoint.ts";
import { measureDisk } from "./disk-usage.ts";
import { pullImage } from "./pull.ts";
import { ImageRecords } from "./records.ts";
import { familiarName, parseReference, type Reference } from "./reference.ts";
import { planRemoval, type RemovalView } from "./remove-image.ts";
import { importAci } from "./import-aci.ts";
import type { ImageRoom } from "./room.ts";
import { saveImages } from "./save.ts";
import { openStoreSource } from "./store-source.ts";
import type {
  DiskUsage,
  PulledImage,
  PullRequest,
  SourceOptions,
  VerifyReport,
  VerifyRequest,
} from "./transfer-types.ts";
import { verifyImages } from "./verify.ts";
import type {
  ApplyLayerRequest,
  CreateImageRequest,
  DiffLayerRequest,
  HistoryRow,
  Hold,
  ImageRecord,
  ImageStoreOptions,
  ImportAciRequest,
  ImportedAci,
  ImportRequest,
  Layer,
  LeasedLayers,
  LoadedImage,
  LoadOptions,
  PruneRequest,
  PruneResult,
  RemovedItem,
  RemoveRequest,
} from "./types.ts";

/**
 * Opens the room in `root` and removes what a crash left. Whoever uses images beyond the life of this process (containers)
 * must hold them anew before anything is removed.
 */
export class ImageStore {
  readonly dir: string;
  readonly #background: Background;
  readonly #room: ImageRoom;
  readonly #leases: Leases;

  constructor({ root, db, sys, logger, snapshotter = "overlay" }: ImageStoreOptions) {
    this.dir = root;
    this.#background = new Background(logger);
    const records = new ImageRecords(db);
    const content = new ContentStore(root);
    const holds = new Holds(
      (id) => this.#holdTarget(id),
      (released) => collectLayers(released),
    );
    const background = this.#background;
    const layers = new LayerStore({
      root,
      sys,
      records,
      content,
      background,
      holds,
      snapshotter,
      logger,
    });
    const contents = new ContentRecords(db);
    const maker = new LayerMaker({ root, sys, content, background, layers });
    const fetcher = new LayerFetcher({ root, sys, content, layers, maker, contents });
    const { partials } = fetcher;
    const collector = new Collector({ root, sys, logger, records, contents, content, layers, partials });
    const collectLayers = (released: readonly Digest[]): void => {
      layers.collect(released);
      collector.soon();
    };
    const catalog = new Catalog(records, layers);
    this.#leases = new Leases(records, catalog, (released) => collectLayers(released));
    this.#room = {
      root,
      sys,
      logger,
      content,
      layers,
      maker,
      holds,
      catalog,
      records: contents,
      fetcher,
      collector,
    };
  }

  #holdTarget(id: string): HoldTarget {
    const image = this.#room.catalog.tryFind(id);
    if (image !== undefined) return { image: image.id, layer: image.chainId };
    return { image: undefined, layer: this.#room.layers.row(id as Digest).chainId };
  }

  /** Nothing that it is told to keep is collected until it is released. */
  hold(): Hold {
    return this.#room.holds.create();
  }

  /**
   * What must outlive this process: the layers of an image are kept for `holder` (a container) until it lets go, whatever
   * becomes of the image.
   * @param id an image's id or a layer's chain id; @throws {GantryError} "not-found"
   */
  lease(holder: string, id: string): void {
    this.#leases.put(holder, id);
  }

  endLease(holder: string): void {
    this.#leases.end(holder);
  }

  /** The layers that a lease keeps, of an image that may be gone. @throws {GantryError} as ImageRecord.lowers does */
  leased(holder: string): LeasedLayers | undefined {
    const chainId = this.#leases.layerOf(holder);
    if (chainId === undefined) return undefined;
    const { layers } = this.#room;
    return {
      get lowers() {
        return layers.lowers(chainId);
      },
      layerDirs: layers.dirs(chainId),
      size: layers.chain(chainId).reduce((sum, layer) => sum + layer.size, 0),
    };
  }

  /** At start: only these holders are left; each is given the image that it uses, where that is still known. */
  restoreLeases(holders: ReadonlyMap<string, string>): void {
    this.#leases.restore(holders);
    this.collect();
  }

  /** Frees what nothing needs, soon: asked for when there is nothing else to do. */
  collect(): void {
    this.#room.collector.soon();
  }

  /** By name, id, or beginning of an id. @throws {GantryError} "not-found": `No such image: x:latest` */
  find(reference: string): ImageRecord {
    return this.#room.catalog.find(reference);
  }

  tryFind(reference: string): ImageRecord | undefined {
    return this.#room.catalog.tryFind(reference);
  }

  /** Newest first, untagged ones and intermediate ones of builds included. */
  list(): readonly ImageRecord[] {
    return this.#room.catalog.list();
  }

  /** Images built here on top of another: the builder's cache. */
  findByParent(parent: Digest | undefined): readonly ImageRecord[] {
    return this.#room.catalog.children(parent);
  }

  /** @throws {GantryError} "not-found", "invalid" */
  tag(source: string, target: string): void {
    const { id } = this.find(source);
    const { catalog } = this.#room;
    const name = nameToGive(target);
    const { image, manifest } = catalog.named(name) ?? {};
    // A name that is given again to what it means already still means the same manifest.
    catalog.name(name, id, image === id ? manifest : undefined);
    this.#room.collector.soon();
  }

  /** Takes a name away and deletes the image with its last one; see remove-image.ts. */
  async remove(
    reference: string,
    { force, noPrune, usedBy }: RemoveRequest,
  ): Promise<readonly RemovedItem[]> {
    const image = this.find(reference);
    const plan = planRemoval(this.#removalView(usedBy), { id: image.id, reference, force, noPrune });
    return this.#drop(plan.names, plan.images, plan.items).items;
  }

  #removalView(usedBy: RemoveRequest["usedBy"]): RemovalView {
    const { catalog } = this.#room;
    return {
      namesOf: (id) => catalog.namesOf(id),
      childrenOf: (id) => catalog.children(id).map((child) => child.id),
      parentOf: (id) => catalog.tryFind(id)?.parent,
      usedBy,
    };
  }

  #drop(
    names: readonly string[],
    images: readonly Digest[],
    items: readonly RemovedItem[],
  ): { items: RemovedItem[]; bytes: number } {
    const { catalog, collector, layers } = this.#room;
    const tops = images.flatMap((id) => catalog.tryFind(id)?.chainId ?? []);
    catalog.drop(names, images);
    const gone = layers.collect(tops);
    collector.soon();
    return {
      items: [...items, ...gone.map((layer) => ({ deleted: layer.chainId }))],
      bytes: gone.reduce((sum, layer) => sum + layer.size, 0),
    };
  }

  /** Deletes untagged images that nothing uses, and with `dangling: false` tagged ones too; then layers that nothing needs. */
  async prune({ dangling, usedBy, filter }: PruneRequest): Promise<PruneResult> {
    const { catalog, collector, holds } = this.#room;
    const removed: RemovedItem[] = [];
    let reclaimedBytes = 0;
    // Children before parents: each round frees the next generation.
    for (;;) {
      const ripe = catalog.list().find((image) => {
        if (dangling && image.repoTags.length > 0) return false;
        if (holds.has(image.id) || usedBy(image.id) !== undefined || filter?.(image) === false) return false;
        return catalog.children(image.id).length === 0;
      });
      if (ripe === undefined) break;
      const names = catalog.namesOf(ripe.id);
      const untagged = names.map((name) => ({ untagged: familiarName(parseReference(name)) }));
      const { items, bytes } = this.#drop(names, [ripe.id], [...untagged, { deleted: ripe.id }]);
      removed.push(...items);
      reclaimedBytes += bytes;
    }
    reclaimedBytes += collector.run(true);
    return { removed, reclaimedBytes };
  }

  /** Newest first. */
  history(reference: string): readonly HistoryRow[] {
    const image = this.find(reference);
    const ancestors: ImageRecord[] = [];
    for (let at = image.parent; at !== undefined; at = ancestors.at(-1)?.parent) {
      const parent = this.tryFind(at);
      if (parent === undefined) break;
      ancestors.push(parent);
    }
    return historyOf(image, this.#room.layers.chain(image.chainId), ancestors);
  }

  /** @throws {GantryError} "not-found" */
  layer(chainId: Digest): Layer {
    return this.#room.layers.get(chainId);
  }

  /** Directories of a layer and all below it, top first: the lower layers of an overlay. */
  lowers(chainId: Digest | undefined): readonly string[] {
    return this.#room.layers.lowers(chainId);
  }

  /** Applies an archive as a layer; what it is kept as is its own bytes, so that saving gives them again. */
  async applyLayer(request: ApplyLayerRequest): Promise<Layer> {
    const { content, layers, maker, sys } = this.#room;
    const { source, parent, digest, diffId, hold, signal } = request;
    const maxBytes = spendableBytes(sys, this.dir);
    const blob = await content.ingest(source, { expected: digest, what: "the layer", maxBytes, signal });
    return layers.withBlob(blob.digest, () =>
      maker.unpack({ source: content.read(blob.digest), blob: blob.digest, parent, diffId, hold, signal }),
    );
  }

  /** Makes an upper directory a layer; undefined when it changes nothing. The directory is gone afterwards. */
  diffLayer(request: DiffLayerRequest): Promise<Layer | undefined> {
    return this.#room.maker.diff(request);
  }

  async createImage(request: CreateImageRequest): Promise<ImageRecord> {
    return createImage(this.#room, request);
  }

  /** An App Container image as an image of one layer. */
  importAci(source: AsyncIterable<Uint8Array>, request: ImportAciRequest): Promise<ImportedAci> {
    return importAci(this.#room, source, request);
  }

  /** A root file system as an image of one layer. */
  importTar(source: AsyncIterable<Uint8Array>, request: ImportRequest): Promise<ImageRecord> {
    return importTar(this.#room, source, request);
  }

  /** Reads a docker-archive or an OCI layout, as tar, gzip or zstd. All of its images or none. */
  load(source: AsyncIterable<Uint8Array>, options: LoadOptions = {}): Promise<readonly LoadedImage[]> {
    return loadImages(this.#room, source, options);
  }

  /** One tar that is both a docker-archive and an OCI layout. @throws {GantryError} "not-found" before the first byte */
  save(references: readonly string[], signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return saveImages(this.#room, references, signal);
  }

  /** Brings an image here from a registry, a layout or an archive; see pull.ts. */
  pull(request: PullRequest): Promise<PulledImage> {
    return pullImage(this.#room, request);
  }

  /** How many layers are downloaded at a time from now on; 3 unless told. */
  setDownloads(most: number): void {
    this.#room.fetcher.limit(most);
  }

  /**
   * The store as a source of one image: its manifest as it came, or one that is made now and kept; see store-source.ts.
   * @param reference a name or an id
   */
  source(reference: string, options: SourceOptions = {}): Promise<ImageSource> {
    return openStoreSource(this.#room, reference, options);
  }

  /**
   * An image has been pushed: the name by this digest (RepoDigests) is kept beside the name.
   * @param reference a name that the image has here
   */
  noteDigest(reference: Reference, digest: Digest): void {
    this.#room.catalog.noteDigest(reference, digest);
  }

  /** Hashes again what is on disk, and with `repair` fetches what is damaged; see verify.ts. */
  verify(request: VerifyRequest = {}): Promise<VerifyReport> {
    return verifyImages(this.#room, request);
  }

  /** What the room has on disk, to the byte; see disk-usage.ts. */
  diskUsage(): Promise<DiskUsage> {
    return measureDisk(this.#room);
  }

  /** A path on the store's file system that nothing has; what is left there is removed at the next start. */
  temporaryPath(kind: string): string {
    return this.#room.content.temporaryPath(kind);
  }

  /** How new layers are kept, why not as EROFS files where they are not, and why not guarded by fs-verity. */
  get snapshotter(): {
    readonly name: SnapshotterName;
    readonly reason: string | undefined;
    readonly unguarded: string | undefined;
  } {
    const { driver, reason, unguarded } = this.#room.layers.snapshotter;
    return { name: driver.name, reason, unguarded };
  }

  /** Takes mounts of layers away, but those that these images and holders of leases need. The store may be used on. */
  unmount(inUse: readonly string[]): void {
    this.#room.layers.close(
      inUse.flatMap((id) => this.#leases.layerOf(id) ?? this.tryFind(id)?.chainId ?? []),
    );
  }

  /** Resolves when all deletions asked for so far are done. */
  idle(): Promise<void> {
    this.#room.collector.flush();
    return this.#background.idle();
  }
}
