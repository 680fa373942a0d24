/** What must not be collected beyond the life of this process: the layers that containers stand on. */
import { type Digest, parseDigest } from "../lib/index.ts";
import type { Catalog } from "./catalog.ts";
import type { ImageRecords } from "./records.ts";

export class Leases {
  readonly #records: ImageRecords;
  readonly #catalog: Pick<Catalog, "tryFind">;
  readonly #released: (layers: readonly Digest[]) => void;

  /** @param released is told of layers that nobody holds any more by a lease */
  constructor(
    records: ImageRecords,
    catalog: Pick<Catalog, "tryFind">,
    released: (layers: readonly Digest[]) => void,
  ) {
    this.#records = records;
    this.#catalog = catalog;
    this.#released = released;
  }

  put(holder: string, id: string): void {
    const image = this.#catalog.tryFind(id);
    const layer = image === undefined ? parseDigest(id) : image.chainId;
    if (layer !== undefined) this.#records.transaction(() => this.#records.putLease(holder, layer));
  }

  end(holder: string): void {
    this.#released(this.#records.transaction(() => this.#records.deleteLeases(holder)));
  }

  /** The top one of the layers that the holder keeps. */
  layerOf(holder: string): Digest | undefined {
    return this.#records.leasedLayer(holder);
  }

  restore(holders: ReadonlyMap<string, string>): void {
    for (const holder of this.#records.leaseHolders()) if (!holders.has(holder)) this.end(holder);
    for (const [holder, image] of holders)
      if (this.#catalog.tryFind(image) !== undefined) this.put(holder, image);
  }
}
