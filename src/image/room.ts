/** What the parts of this room share. */
import type { Sys } from "../kernel/index.ts";
import type { Logger } from "../lib/index.ts";
import type { Catalog } from "./catalog.ts";
import type { Collector } from "./collect.ts";
import type { ContentRecords } from "./content-records.ts";
import type { ContentStore } from "./content-store.ts";
import type { LayerFetcher } from "./fetch-layer.ts";
import type { Holds } from "./holds.ts";
import type { LayerMaker } from "./layer-maker.ts";
import type { LayerStore } from "./layer-store.ts";

export interface ImageRoom {
  readonly root: string;
  readonly sys: Sys;
  readonly logger: Logger;
  readonly content: ContentStore;
  readonly layers: LayerStore;
  readonly maker: LayerMaker;
  readonly catalog: Catalog;
  readonly holds: Holds;
  /** Manifests and archives of layers. */
  readonly records: ContentRecords;
  readonly fetcher: LayerFetcher;
  readonly collector: Collector;
}
