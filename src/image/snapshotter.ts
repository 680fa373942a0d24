/** Which driver keeps new layers, and which one has an old one. */
import type { Sys } from "../kernel/index.ts";
import { GantryError, type Logger } from "../lib/index.ts";
import { ErofsDriver } from "./erofs-driver.ts";
import type { LayerDriver, SnapshotterName } from "./layer-driver.ts";
import { OverlayDriver } from "./overlay-driver.ts";

/** `auto`: erofs where the kernel can, as it measures faster (docs/snapshotters.md). */
export type SnapshotterWish = SnapshotterName | "auto";

export interface SnapshotterOptions {
  readonly sys: Sys;
  /** The data directory. */
  readonly root: string;
  /** Mount point of children. */
  readonly scratch: string;
  /** A name in the data directory that nothing has. */
  readonly temporary: string;
  readonly wish: SnapshotterWish;
  readonly logger: Logger;
}

export class Snapshotter {
  /** Makes new layers. */
  readonly driver: LayerDriver;
  /** Why not erofs, where it is not. */
  readonly reason: string | undefined;
  readonly #overlay: LayerDriver;
  readonly #erofs: ErofsDriver;

  /** @throws {GantryError} "unsupported" when erofs is wanted and the kernel cannot */
  constructor({ sys, root, scratch, temporary, wish, logger }: SnapshotterOptions) {
    this.#overlay = new OverlayDriver(scratch);
    this.#erofs = new ErofsDriver(sys, { root, scratch });
    this.reason = wish === "overlay" ? "overlay was asked for" : this.#erofs.probe(temporary);
    this.driver = this.reason === undefined ? this.#erofs : this.#overlay;
    if (wish === "erofs" && this.reason !== undefined) {
      throw new GantryError("unsupported", `layers cannot be kept as EROFS files here: ${this.reason}`, {
        hint: "Linux 6.12 or later is needed, with EROFS; without it: gantry engine --snapshotter auto",
      });
    }
    if (wish === "auto" && this.reason !== undefined)
      logger.info("image.snapshotter", { driver: this.driver.name, why: this.reason });
  }

  /** Why fs-verity does not guard new layers; undefined where it does. */
  get unguarded(): string | undefined {
    return this.driver === this.#erofs ? this.#erofs.unguarded : "layers are directories";
  }

  /** The driver of the layer in a directory. */
  of(dir: string): LayerDriver {
    return this.#erofs.owns(dir) ? this.#erofs : this.#overlay;
  }

  /** Takes mounts away that `isNeeded` does not claim, by the names of the layers' directories. */
  unmountAll(isNeeded: (name: string) => boolean): void {
    this.#erofs.mounts.unmountAll(isNeeded);
  }
}
