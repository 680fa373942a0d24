/**
 * Frees what nothing needs: manifests without name, archives without manifest, caches of compressed layers, broken
 * downloads. Layers are counted where they are dropped (layer-store.ts). Every look and its deletion are one synchronous
 * step, so that it runs safely beside pulls, builds and loads: what these need is held or pinned.
 */
import type { Sys } from "../kernel/index.ts";
import { type Logger, messageOf } from "../lib/index.ts";
import type { ContentRecords } from "./content-records.ts";
import type { ContentStore } from "./content-store.ts";
import type { LayerStore } from "./layer-store.ts";
import type { Partials } from "./partials.ts";
import type { ImageRecords } from "./records.ts";

export interface CollectorParts {
  readonly root: string;
  readonly sys: Pick<Sys, "statfs">;
  readonly logger: Logger;
  readonly records: ImageRecords;
  readonly contents: ContentRecords;
  readonly content: ContentStore;
  readonly layers: LayerStore;
  readonly partials: Partials;
}

/** Compressed layers kept for the next push: this share of the disk, and no more than this. */
const cacheShare = 10n;
const maxCacheBytes = 16 * 2 ** 30;

export class Collector {
  readonly #parts: CollectorParts;
  #planned = false;

  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  /** Runs when the work at hand is done. Nothing polls: whoever removes something or fails asks for it. */
  soon(): void {
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(() => this.flush());
  }

  /** Runs now if it is about to. */
  flush(): void {
    if (!this.#planned) return;
    this.#planned = false;
    try {
      this.run();
    } catch (error) {
      // The database has been closed, or the disk is full: the next run finds what this one left.
      this.#parts.logger.warn("image.collect", { error: messageOf(error) });
    }
  }

  /**
   * Frees what no image and no one at work needs; bytes of files.
   * @param all caches and broken downloads too
   */
  run(all = false): number {
    const { layers, partials, records } = this.#parts;
    layers.collect(records.spareLayers());
    return this.#caches(all ? 0 : this.#cacheLimit()) + this.#contents() + partials.collect(Date.now(), all);
  }

  /** Manifests first: they are what archives are needed for. */
  #contents(): number {
    const { contents, content, records } = this.#parts;
    records.transaction(() => {
      for (const digest of contents.spareManifests()) contents.deleteManifest(digest);
      for (const digest of contents.spareBlobs()) if (!content.isPinned(digest)) contents.deleteBlob(digest);
    });
    return content.collect((digest) => records.isBlobNeeded(digest));
  }

  /** The least recently used ones beyond the limit. A manifest keeps their digests: they are made again when needed. */
  #caches(maxBytes: number): number {
    const { contents, content } = this.#parts;
    let freed = 0;
    let total = 0;
    for (const { digest, level, size } of [...contents.blobs()].reverse()) {
      if (level === undefined || content.isPinned(digest) || contents.isLayerArchive(digest)) continue;
      total += size;
      if (total > maxBytes) freed += content.remove(digest);
    }
    return freed;
  }

  #cacheLimit(): number {
    const { totalBytes } = this.#parts.sys.statfs(this.#parts.root);
    return Math.min(maxCacheBytes, Number(totalBytes / cacheShare));
  }
}
