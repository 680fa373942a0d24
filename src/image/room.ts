/** What the parts of this room share. */
import type { Sys } from "../kernel/index.ts";
import type { Logger } from "../lib/index.ts";
import type { Catalog } from "./catalog.ts";
import type { ContentStore } from "./content-store.ts";
import type { Holds } from "./holds.ts";
import type { LayerStore } from "./layer-store.ts";

export interface ImageRoom {
  readonly root: string;
  readonly sys: Sys;
  readonly logger: Logger;
  readonly content: ContentStore;
  readonly layers: LayerStore;
  readonly catalog: Catalog;
  readonly holds: Holds;
}
