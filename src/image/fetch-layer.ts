/**
 * Layers of an image that comes from elsewhere: downloaded, verified, decompressed and unpacked in one stream, several at
 * once, and put on their parents in order. What two pulls want at a time is made by one of them.
 */
import * as fs from "node:fs";
import type { Sys } from "../kernel/index.ts";
import { type Digest, GantryError } from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";
import { decompress } from "./compression.ts";
import type { ContentRecords } from "./content-records.ts";
import type { ContentStore } from "./content-store.ts";
import { download, isDamaged } from "./download.ts";
import type { ImageSource } from "./endpoint.ts";
import { spendableBytes } from "./free-space.ts";
import type { AppliedLayer, LayerMaker } from "./layer-maker.ts";
import type { LayerStore } from "./layer-store.ts";
import { Limiter } from "./limiter.ts";
import type { Descriptor } from "./manifest.ts";
import { Partials } from "./partials.ts";
import { digestOf } from "./stream-digest.ts";
import type { PullEvent } from "./transfer-types.ts";
import type { Hold, Layer } from "./types.ts";

export interface LayerWish {
  readonly source: ImageSource;
  readonly blob: Descriptor;
  readonly diffId: Digest;
  readonly chainId: Digest;
  /** The layer below, which is being made as well. */
  readonly parent: Promise<Layer> | undefined;
  /** Keeps the layer, and its blob by `pins`, until the image has been recorded. */
  readonly hold: Hold;
  readonly pins: DisposableStack;
  readonly report: (status: PullEvent["status"], current?: number) => void;
  readonly signal: AbortSignal;
}

export interface FetcherParts {
  readonly root: string;
  readonly sys: Sys;
  readonly content: ContentStore;
  readonly layers: LayerStore;
  readonly maker: LayerMaker;
  readonly contents: ContentRecords;
}

/** As many as docker downloads at a time. */
const maxTransfers = 3;
/** As often as docker tells of progress. */
const progressMs = 100;

export class LayerFetcher {
  readonly partials: Partials;
  readonly #parts: FetcherParts;
  readonly #limiter = new Limiter(maxTransfers);
  /** Layers by chain id, and downloads by the blob's digest, that somebody is at. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(parts: FetcherParts) {
    this.#parts = parts;
    this.partials = new Partials(parts.content.temporary);
  }

  /** How many are downloaded at a time from now on. */
  limit(downloads: number): void {
    this.#limiter.limit(downloads);
  }

  /** The layer, held; made by whoever came first. */
  async layer(wish: LayerWish): Promise<Layer> {
    const { layers } = this.#parts;
    for (;;) {
      throwIfAborted(wish.signal);
      if (layers.has(wish.chainId)) {
        wish.hold.keep(wish.chainId);
        // Told before the first wait where nothing is to be fetched: layers are told of in their order.
        if (!this.#hasArchive(wish)) await this.#archiveOf(wish);
        wish.report("exists");
        return layers.get(wish.chainId);
      }
      const other = this.#busy.get(wish.chainId);
      if (other === undefined) return this.#alone(wish.chainId, () => this.#make(wish));
      wish.report("waiting");
      await settled(other, wish.signal);
    }
  }

  /**
   * A layer that is here in another form (loaded, built, pulled with another compression): the manifest can only be given on
   * as it is with this very archive.
   */
  async #archiveOf(wish: LayerWish): Promise<void> {
    const { blob, signal } = wish;
    const key = downloadKey(blob.digest);
    while (!this.#hasArchive(wish)) {
      throwIfAborted(signal);
      const other = this.#busy.get(key);
      if (other === undefined)
        return this.#alone(key, () => this.#limiter.run(() => this.#downloadOnly(wish)));
      await settled(other, signal);
    }
  }

  /** It is here, and from now on pinned, or can be made again. */
  #hasArchive({ blob, diffId, pins }: LayerWish): boolean {
    const { content, contents } = this.#parts;
    pins.use(content.pin(blob.digest));
    const canBeMade = blob.digest === diffId || contents.blob(blob.digest)?.level !== undefined;
    return canBeMade || content.size(blob.digest) !== undefined;
  }

  async #downloadOnly(wish: LayerWish): Promise<void> {
    const { digest, size } = wish.blob;
    const path = this.partials.path(digest);
    using _use = this.partials.use(digest);
    await this.#trying(path, async () => {
      const tar = decompress(this.#bytes(wish, path), { maxBytes: Infinity });
      const actual = await digestOf(tar);
      if (actual !== wish.diffId)
        throw new GantryError("corrupt", `the layer has digest ${actual}, expected ${wish.diffId}`);
    });
    await this.#parts.content.adopt({ path, digest, size });
  }

  async #alone<T>(key: string, work: () => Promise<T>): Promise<T> {
    const promise = work();
    this.#busy.set(key, promise);
    try {
      return await promise;
    } finally {
      this.#busy.delete(key);
    }
  }

  async #make(wish: LayerWish): Promise<Layer> {
    const { content } = this.#parts;
    const { blob, hold, pins, report, signal } = wish;
    report("waiting");
    // From the first byte until it is a blob: it waits for the layers below in between.
    using _use = this.partials.use(blob.digest);
    await using applied = await this.#apply(wish);
    const parent = await wish.parent;
    pins.use(content.pin(blob.digest));
    await this.#adopt(blob, signal);
    throwIfAborted(signal);
    const layer = await this.#parts.maker.place(applied, {
      parent: parent?.chainId,
      blob: blob.digest,
      hold,
      signal,
    });
    report("complete");
    return layer;
  }

  /** The whole download becomes a blob once nobody reads it as a download any more. */
  async #adopt({ digest, size }: Descriptor, signal: AbortSignal): Promise<void> {
    const { content } = this.#parts;
    for (;;) {
      if (content.size(digest) !== undefined) return;
      const other = this.#busy.get(downloadKey(digest));
      // The child that unpacked it has synced the file system, the archive with it.
      if (other === undefined)
        return void (await content.adopt({ path: this.partials.path(digest), digest, size }, true));
      await settled(other, signal);
      throwIfAborted(signal);
    }
  }

  /** Unpacks the blob, from here or as it is downloaded. */
  async #apply(wish: LayerWish): Promise<AppliedLayer> {
    const key = downloadKey(wish.blob.digest);
    for (;;) {
      throwIfAborted(wish.signal);
      const other = this.#busy.get(key);
      if (other === undefined)
        return this.#alone(key, () => this.#limiter.run(() => this.#downloadAndApply(wish)));
      await settled(other, wish.signal);
    }
  }

  async #downloadAndApply(wish: LayerWish): Promise<AppliedLayer> {
    const { content } = this.#parts;
    const { blob, diffId, report, signal } = wish;
    if (content.size(blob.digest) !== undefined) {
      using _pin = content.pin(blob.digest);
      report("extracting", 0);
      return await this.#parts.maker.apply({ source: content.read(blob.digest), diffId, signal });
    }
    const path = this.partials.path(wish.blob.digest);
    return this.#trying(path, () =>
      this.#parts.maker.apply({ source: this.#bytes(wish, path), diffId, signal }),
    );
  }

  /** Nothing that is wrong stays; and what was left of an earlier try may have been all that was wrong. */
  async #trying<T>(path: string, work: () => Promise<T>): Promise<T> {
    const hadPart = fs.existsSync(path);
    try {
      return await work();
    } catch (error) {
      if (!isDamaged(error)) throw error;
      fs.rmSync(path, { force: true });
      if (!hadPart || (error instanceof GantryError && error.code === "exhausted")) throw error;
      return await work();
    }
  }

  /** The download, told of. */
  async *#bytes(
    { source, blob, report, signal }: LayerWish,
    path: string,
  ): AsyncGenerator<Uint8Array, void, void> {
    const { root, sys } = this.#parts;
    let toldMs = -Infinity;
    const onProgress = (current: number): void => {
      const now = performance.now();
      if (now - toldMs < progressMs && current < blob.size) return;
      toldMs = now;
      report("downloading", current);
    };
    yield* download({ source, blob, path, maxBytes: spendableBytes(sys, root), onProgress, signal });
    report("downloaded");
    report("extracting", 0);
  }
}

const downloadKey = (digest: Digest): string => `download ${digest}`;

/** When somebody else's work has ended, well or not, or we have been called off. */
async function settled(other: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => resolve();
  signal.addEventListener("abort", done, { once: true });
  other.then(done, done);
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", done);
  }
}
