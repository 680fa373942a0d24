/**
 * Making layers: an archive is applied, or an upper directory taken, in a temporary directory by a confined child; then it is
 * put on its parents, and layer-store.ts takes it in.
 */
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import type { Sys } from "../kernel/index.ts";
import { type Digest, GantryError, parseDigest } from "../lib/index.ts";
import type { Background } from "./background.ts";
import { chainId } from "./chain-id.ts";
import { runChild, streamChild } from "./child.ts";
import type { ChildJob, MeasuredLayer, UnpackedLayer } from "./child-request.ts";
import { decompress } from "./compression.ts";
import type { ContentStore } from "./content-store.ts";
import { spendableBytes } from "./free-space.ts";
import type { LayerStore } from "./layer-store.ts";
import { OverlayDriver } from "./overlay-driver.ts";
import type { LayerRow } from "./records.ts";
import { type Digester, digested } from "./stream-digest.ts";
import type { DiffLayerRequest, Hold, Layer } from "./types.ts";

export interface UnpackRequest {
  /** A tar, plain or compressed. */
  readonly source: AsyncIterable<Uint8Array>;
  readonly parent: Digest | undefined;
  /** What the uncompressed tar must hash to. */
  readonly diffId: Digest | undefined;
  /** A blob in the content store with the same bytes as `source`: recorded unless the layer can be made again without it. */
  readonly blob: Digest | undefined;
  readonly hold: Hold;
  readonly signal: AbortSignal | undefined;
}

/** An archive that has been applied, before it is known what lies below. Nothing is left of it when it is disposed of. */
export interface AppliedLayer extends AsyncDisposable {
  readonly target: string;
  readonly unpacked: UnpackedLayer;
  readonly tar: { readonly size: number; readonly digest: Digest };
}

type RunUnpack = Pick<UnpackRequest, "source" | "diffId" | "signal"> & {
  readonly parents: readonly string[];
  /** A digest vouches for the length: the tar may lack its end mark. */
  readonly vouched: boolean;
};

export interface LayerMakerParts {
  /** The data directory. */
  readonly root: string;
  readonly sys: Pick<Sys, "statfs">;
  readonly content: ContentStore;
  readonly background: Background;
  readonly layers: LayerStore;
}

export class LayerMaker {
  readonly #parts: LayerMakerParts;
  readonly #layers: LayerStore;

  constructor(parts: LayerMakerParts) {
    this.#parts = parts;
    this.#layers = parts.layers;
  }

  /** Applies an archive as it came: its digest is the layer's. */
  async unpack(request: UnpackRequest): Promise<Layer> {
    const { parent, diffId, hold } = request;
    const known = diffId === undefined ? undefined : this.#layers.tryRow(chainId(parent, diffId));
    if (known !== undefined) return this.#layers.keep(known, hold);
    return this.#prepare(async (target) => {
      const { unpacked, tar } = await this.#runUnpack(
        this.#onParents(request),
        target,
        request.blob === undefined ? "never" : "if-ours",
      );
      const isOurs =
        unpacked.canonical?.digest === tar.digest || this.#layers.snapshotter.driver.keepsArchive;
      const blob = isOurs ? undefined : request.blob;
      await this.#settle({ target, unpacked, tar }, request);
      return this.#layers.commit(
        target,
        { diffId: tar.digest, tarSize: tar.size, size: unpacked.size, parent, blob },
        hold,
      );
    });
  }

  /** Applies an archive and names the layer by the tar that gantry makes of it, so that the archive need not be kept. */
  async unpackAsOwn(request: UnpackRequest): Promise<Layer> {
    return this.#prepare(async (target) => {
      const { unpacked, tar } = await this.#runUnpack(this.#onParents(request), target, "always");
      if (!this.#layers.snapshotter.driver.keepsArchive)
        return this.#commitMeasured(target, unpacked.canonical, request);
      await this.#settle({ target, unpacked, tar }, request);
      return this.#remake(target, request);
    });
  }

  /** A driver that keeps archives gets gantry's own of the layer that it has made. */
  #remake(foreign: string, { parent, hold, signal }: UnpackRequest): Promise<Layer> {
    const source = this.#layers.snapshotter.driver.ownArchive(dirname(foreign), signal);
    return this.#prepare(async (target) => {
      const request = { source, diffId: undefined, signal, parents: [], vouched: true };
      const { unpacked, tar } = await this.#runUnpack(request, target, "never");
      await this.#settle({ target, unpacked, tar }, { parent, signal });
      const made = { diffId: tar.digest, tarSize: tar.size, size: unpacked.size, parent, blob: undefined };
      return this.#layers.commit(target, made, hold);
    });
  }

  /**
   * Applies an archive on its own; `place` puts the result on its parents. Any number at a time, in any order. Whoever gives
   * no diff id compares the digest of the result.
   */
  async apply(
    { source, diffId, signal }: Omit<UnpackRequest, "parent" | "blob" | "hold">,
    measure: "never" | "if-ours" = "never",
  ): Promise<AppliedLayer> {
    const target = this.#temporaryTarget();
    const dispose = (): Promise<void> => this.#removeTarget(target);
    try {
      const request = { source, diffId, signal, parents: [], vouched: true };
      const { unpacked, tar } = await this.#runUnpack(request, target, measure);
      return { target, unpacked, tar, [Symbol.asyncDispose]: dispose };
    } catch (error) {
      await dispose();
      throw error;
    }
  }

  /**
   * Makes an applied archive a layer on top of `parent`.
   * @param blob the archive in the content store
   */
  async place(
    { target, unpacked, tar }: AppliedLayer,
    { parent, blob, hold, signal }: Omit<UnpackRequest, "source" | "diffId">,
  ): Promise<Layer> {
    const known = this.#layers.tryRow(chainId(parent, tar.digest));
    if (known !== undefined) return this.#layers.keep(known, hold);
    if (parent !== undefined) hold.keep(parent);
    await this.#settle({ target, unpacked, tar }, { parent, signal });
    const made = { diffId: tar.digest, tarSize: tar.size, size: unpacked.size, parent, blob };
    return this.#layers.commit(target, made, hold);
  }

  /** Makes an upper directory a layer; undefined when it changes nothing. */
  async diff(request: DiffLayerRequest): Promise<Layer | undefined> {
    const { upper, parent, hold, stubs, signal } = request;
    if (parent !== undefined) hold.keep(parent);
    return this.#prepare(async (target) => {
      if (request.keepUpper === true) await this.#copyUpper(upper, target, signal);
      else {
        fs.rmdirSync(target);
        fs.renameSync(upper, target);
      }
      const work: ChildJob = {
        job: "diff-layer",
        target,
        parents: this.#layers.lowers(parent),
        stubs: stubs ?? [],
      };
      const measured = (await runChild({
        scratch: this.#layers.scratch,
        work,
        signal,
      })) as MeasuredLayer | null;
      return measured === null ? undefined : this.#commitMeasured(target, measured, { parent, hold });
    });
  }

  /** By way of its archive, which has everything that counts. */
  async #copyUpper(upper: string, target: string, signal: AbortSignal | undefined): Promise<void> {
    const { scratch } = this.#layers;
    const tar: ChildJob = { job: "layer-tar", target: upper };
    await new OverlayDriver(scratch).unpack({
      dir: dirname(target),
      parents: [],
      maxBytes: spendableBytes(this.#parts.sys, this.#parts.root),
      missingTrailer: false,
      measure: "never",
      source: streamChild({ scratch, work: tar, signal }),
      signal,
    });
  }

  /** The layer once more, from an archive of it: to be compared and swapped in. It is gone after `work`. */
  async rebuild<T>(
    row: LayerRow,
    { source, signal }: Pick<UnpackRequest, "source" | "signal">,
    work: (again: { readonly fingerprint: Digest; swap(): void }) => T,
  ): Promise<T> {
    const driver = this.#layers.driverOf(row.chainId);
    return this.#prepare(async (target) => {
      const request = { source, diffId: row.diffId, signal, parents: [], vouched: true };
      const { unpacked, tar } = await this.#runUnpack(request, target, "never", driver);
      await this.#settle({ target, unpacked, tar }, { parent: row.parent, signal }, driver);
      const fingerprint = await driver.fingerprint(dirname(target), tar.size, signal);
      return work({ fingerprint, swap: () => this.#layers.swap(row, dirname(target)) });
    });
  }

  /** What directories that an unpacked layer does not describe inherit; it is synced then. */
  #settle(
    { target, unpacked, tar }: Omit<AppliedLayer, keyof AsyncDisposable>,
    { parent, signal }: Pick<UnpackRequest, "parent" | "signal">,
    driver = this.#layers.snapshotter.driver,
  ): Promise<void> {
    const parents = this.#layers.lowers(parent);
    return driver.settle({
      dir: dirname(target),
      unpacked,
      tarSize: tar.size,
      parents,
      signal,
    });
  }

  #onParents({ source, parent, diffId, hold, signal }: UnpackRequest): RunUnpack {
    if (parent !== undefined) hold.keep(parent);
    return { source, diffId, signal, parents: this.#layers.lowers(parent), vouched: diffId !== undefined };
  }

  async #runUnpack(
    { source, parents, diffId, signal, vouched }: RunUnpack,
    target: string,
    measure: "never" | "if-ours" | "always",
    driver = this.#layers.snapshotter.driver,
  ): Promise<{
    readonly unpacked: UnpackedLayer;
    readonly tar: { readonly size: number; readonly digest: Digest };
  }> {
    const maxBytes = spendableBytes(this.#parts.sys, this.#parts.root);
    const digester: Digester = { size: 0, digest: undefined };
    const tar = digested(decompress(source, { maxBytes: maxBytes + tarOverheadBytes }), digester);
    const unpacked = await driver.unpack({
      dir: dirname(target),
      parents,
      maxBytes,
      missingTrailer: vouched,
      measure,
      source: tar,
      signal,
    });
    const { digest } = digester;
    if (digest === undefined) throw new GantryError("corrupt", "the archive was not read to its end");
    if (diffId !== undefined && digest !== diffId) {
      throw new GantryError("corrupt", `the layer has digest ${digest}, expected ${diffId}`, {
        hint: "get or make the archive anew",
      });
    }
    return { unpacked, tar: { size: digester.size, digest } };
  }

  /** A temporary layer directory for `work`; it is gone afterwards, whatever happens. */
  async #prepare<T>(work: (target: string) => Promise<T>): Promise<T> {
    const target = this.#temporaryTarget();
    try {
      return await work(target);
    } finally {
      await this.#removeTarget(target);
    }
  }

  #temporaryTarget(): string {
    const target = join(this.#parts.content.temporaryPath("layer"), "fs");
    fs.mkdirSync(target, { recursive: true, mode: 0o755 });
    // A umask must not decide on the mode of an image's root.
    fs.chmodSync(target, 0o755);
    return target;
  }

  /** With the directory it is in, unless it has become a layer. */
  async #removeTarget(target: string): Promise<void> {
    const dir = dirname(target);
    if (fs.existsSync(dir)) await this.#parts.background.remove(dir);
  }

  #commitMeasured(
    target: string,
    measured: MeasuredLayer | undefined,
    { parent, hold }: { parent?: Digest | undefined; hold: Hold },
  ): Layer {
    if (measured === undefined) throw new GantryError("internal", "the child did not measure the layer");
    const { digest, tarSize, size } = measured;
    return this.#layers.commit(
      target,
      { diffId: parseDigest(digest), tarSize, size, parent, blob: undefined },
      hold,
    );
  }
}

/** Headers of an archive of which every file is empty come on top of the content. */
const tarOverheadBytes = 2 ** 30;
