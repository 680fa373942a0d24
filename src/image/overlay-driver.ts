/** Layers as directories, `layers/HEX/fs`: every file of the archive is made. Works wherever overlayfs does. */
import { join } from "node:path";
import type { Digest } from "../lib/index.ts";
import { runChild, streamChild } from "./child.ts";
import type { ChildJob, UnpackedLayer } from "./child-request.ts";
import { digestOf } from "./stream-digest.ts";
import type { LayerDriver, SettleWork, UnpackWork } from "./layer-driver.ts";

export class OverlayDriver implements LayerDriver {
  readonly name = "overlay";
  readonly keepsArchive = false;
  readonly #scratch: string;

  /** @param scratch mount point of children */
  constructor(scratch: string) {
    this.#scratch = scratch;
  }

  /** Of what no other driver owns. */
  owns(): boolean {
    return true;
  }

  view(dir: string): string {
    return join(dir, "fs");
  }

  use(dir: string): string {
    return this.view(dir);
  }

  release(): void {
    // A directory is in nobody's way.
  }

  async unpack({ dir, source, signal, ...rest }: UnpackWork): Promise<UnpackedLayer> {
    const work: ChildJob = { job: "unpack-layer", target: this.view(dir), ...rest };
    const unpacked = (await runChild({ scratch: this.#scratch, work, source, signal })) as UnpackedLayer;
    return rest.parents.length === 0 ? unpacked : { ...unpacked, implied: [] };
  }

  async settle({ dir, unpacked, parents, signal }: SettleWork): Promise<void> {
    if (parents.length === 0 || unpacked.implied.length === 0) return;
    const target = this.view(dir);
    const work: ChildJob = { job: "inherit-layer", target, parents, implied: unpacked.implied };
    await runChild({ scratch: this.#scratch, work, signal });
  }

  fingerprint(dir: string, tarSize: number, signal: AbortSignal | undefined): Promise<Digest> {
    return digestOf(this.archive(dir, tarSize, signal));
  }

  archive(dir: string, _tarSize: number, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    return this.ownArchive(dir, signal);
  }

  ownArchive(dir: string, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    const work: ChildJob = { job: "layer-tar", target: this.view(dir) };
    return streamChild({ scratch: this.#scratch, work, signal });
  }
}
