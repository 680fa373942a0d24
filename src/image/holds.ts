/** What must not be collected although nothing on disk says so: layers and images in use by builds, loads, containers. */
import type { Digest } from "../lib/index.ts";
import type { Hold } from "./types.ts";

export interface HoldTarget {
  /** The layer to keep, and the image if the id is one's. */
  readonly layer: Digest | undefined;
  readonly image: Digest | undefined;
}

export class Holds {
  readonly #counts = new Map<Digest, number>();
  readonly #resolve: (id: string) => HoldTarget;
  readonly #released: (layers: readonly Digest[]) => void;

  /**
   * @param resolve finds what an id means; throws "not-found"
   * @param released is told of layers that a hold let go of
   */
  constructor(resolve: (id: string) => HoldTarget, released: (layers: readonly Digest[]) => void) {
    this.#resolve = resolve;
    this.#released = released;
  }

  has(id: Digest): boolean {
    return this.#counts.has(id);
  }

  create(): Hold {
    const layers: Digest[] = [];
    const images: Digest[] = [];
    const release = (): void => {
      const gone = layers.splice(0);
      for (const id of [...gone, ...images.splice(0)]) this.#drop(id);
      if (gone.length > 0) this.#released(gone);
    };
    return {
      keep: (id) => {
        const { layer, image } = this.#resolve(id);
        if (layer !== undefined) layers.push(this.#add(layer));
        if (image !== undefined) images.push(this.#add(image));
      },
      release,
      [Symbol.dispose]: release,
    };
  }

  #add(id: Digest): Digest {
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    return id;
  }

  #drop(id: Digest): void {
    const left = (this.#counts.get(id) ?? 1) - 1;
    if (left === 0) this.#counts.delete(id);
    else this.#counts.set(id, left);
  }
}
