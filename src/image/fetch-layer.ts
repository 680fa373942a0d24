/**
 * Layers of an image that comes from elsewhere: downloaded, verified, decompressed and unpacked in one stream, several at
 * once, and put on their parents in order. What two pulls want at a time is made by one of them.
 */
import * as fs from "node:fs";
import type { Sys } from "../kernel/index.ts";
import { type Digest, GantryError } from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";
import type { ContentStore } from "./content-store.ts";
import { download, isDamaged } from "./download.ts";
import type { ImageSource } from "./endpoint.ts";
import { spendableBytes } from "./free-space.ts";
import type { AppliedLayer, LayerMaker } from "./layer-maker.ts";
import type { LayerStore } from "./layer-store.ts";
import { Limiter } from "./limiter.ts";
import type { Descriptor } from "./manifest.ts";
import { Partials } from "./partials.ts";
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
}

/** As many as docker downloads at a time. */
const maxTransfers = 3;
/** More than this and the log is told of nothing but progress. */
const progressBytes = 1 << 20;

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

  /** The layer, held; made by whoever came first. */
  async layer(wish: LayerWish): Promise<Layer> {
    const { layers } = this.#parts;
    for (;;) {
      throwIfAborted(wish.signal);
      if (layers.has(wish.chainId)) {
        wish.hold.keep(wish.chainId);
        wish.report("exists");
        return layers.get(wish.chainId);
      }
      const other = this.#busy.get(wish.chainId);
      if (other === undefined) return this.#alone(wish.chainId, () => this.#make(wish));
      wish.report("waiting");
      await settled(other, wish.signal);
    }
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
    const { content, layers } = this.#parts;
    const { blob, hold, pins, report, signal } = wish;
    report("waiting");
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
    const { content, layers } = this.#parts;
    const { blob, diffId, report, signal } = wish;
    if (content.size(blob.digest) !== undefined) {
      using _pin = content.pin(blob.digest);
      report("extracting", 0);
      return await this.#parts.maker.apply({ source: content.read(blob.digest), diffId, signal });
    }
    const path = this.partials.path(wish.blob.digest);
    using _use = this.partials.use(wish.blob.digest);
    const hadPart = fs.existsSync(path);
    try {
      return await this.#stream(wish, path);
    } catch (error) {
      if (!isDamaged(error)) throw error;
      // Nothing that is wrong stays; and what was left of an earlier try may have been all that was wrong.
      fs.rmSync(path, { force: true });
      if (!hadPart || (error instanceof GantryError && error.code === "exhausted")) throw error;
      return await this.#stream(wish, path);
    }
  }

  async #stream({ source, blob, diffId, report, signal }: LayerWish, path: string): Promise<AppliedLayer> {
    const { layers, root, sys } = this.#parts;
    let told = -progressBytes;
    const onProgress = (current: number): void => {
      if (current - told < progressBytes && current < blob.size) return;
      told = current;
      report("downloading", current);
    };
    const maxBytes = spendableBytes(sys, root);
    const bytes = download({ source, blob, path, maxBytes, onProgress, signal });
    return this.#parts.maker.apply({ source: reporting(bytes, report), diffId, signal });
  }
}

const downloadKey = (digest: Digest): string => `download ${digest}`;

async function* reporting(
  bytes: AsyncIterable<Uint8Array>,
  report: LayerWish["report"],
): AsyncGenerator<Uint8Array, void, void> {
  yield* bytes;
  report("downloaded");
  report("extracting", 0);
}

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
