/**
 * Unpacked layers: `layers/HEX/fs`, HEX being the chain id's. A layer is prepared in a temporary directory by a confined
 * child, synced, renamed, and then recorded; a directory without record is what a crash left, and is removed at start.
 */
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import type { Sys } from "../kernel/index.ts";
import { type Digest, digestHex, GantryError, type Logger, parseDigest } from "../lib/index.ts";
import type { Background } from "./background.ts";
import { chainId } from "./chain-id.ts";
import { runChild } from "./child.ts";
import type { ChildJob, MeasuredLayer, UnpackedLayer } from "./child-request.ts";
import { decompress } from "./compression.ts";
import { type ContentStore, syncDirectory } from "./content-store.ts";
import { spendableBytes } from "./free-space.ts";
import type { Holds } from "./holds.ts";
import type { LayerDriver, SnapshotterName } from "./layer-driver.ts";
import { isPartial } from "./partials.ts";
import type { ImageRecords, LayerRow } from "./records.ts";
import { Snapshotter, type SnapshotterWish } from "./snapshotter.ts";
import { type Digester, digested } from "./stream-digest.ts";
import type { DiffLayerRequest, Hold, Layer } from "./types.ts";

export interface LayerStoreParts {
  readonly root: string;
  readonly sys: Sys;
  readonly records: ImageRecords;
  readonly content: ContentStore;
  readonly background: Background;
  readonly holds: Holds;
  /** How the files of layers are kept. */
  readonly snapshotter: SnapshotterWish;
  readonly logger: Logger;
}

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

export class LayerStore {
  readonly #parts: LayerStoreParts;
  readonly #layers: string;
  readonly snapshotter: Snapshotter;
  /** Mount point of the children, each in its own mount namespace. */
  readonly scratch: string;

  constructor(parts: LayerStoreParts) {
    this.#parts = parts;
    this.#layers = join(parts.root, "layers");
    this.scratch = join(parts.root, "scratch");
    for (const dir of [this.#layers, this.scratch]) fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    const { root, sys, content, logger } = parts;
    const places = { root, scratch: this.scratch, temporary: content.temporaryPath("probe") };
    this.snapshotter = new Snapshotter({ ...places, sys, wish: parts.snapshotter, logger });
    this.#reconcile();
  }

  /** @throws {GantryError} "not-found" */
  row(id: Digest): LayerRow {
    const row = this.#parts.records.layer(id);
    if (row === undefined) throw new GantryError("not-found", `no such layer: ${id}`);
    return row;
  }

  has(id: Digest): boolean {
    return this.#parts.records.layer(id) !== undefined;
  }

  get(id: Digest): Layer {
    return this.#describe(this.row(id));
  }

  /** The rows of a layer and all below it, top first. */
  chain(top: Digest | undefined): readonly LayerRow[] {
    const rows: LayerRow[] = [];
    for (let at = top; at !== undefined; at = rows.at(-1)?.parent) rows.push(this.row(at));
    return rows;
  }

  /**
   * The directories of a layer and all below it, top first, ready to be an overlay's lower layers.
   * @throws {GantryError} "corrupt", "unsupported" when one cannot be shown
   */
  lowers(top: Digest | undefined): readonly string[] {
    return this.chain(top).map(({ chainId: id }) => this.#driver(id).use(this.#home(id)));
  }

  /** New layers hold their archive: it need not be kept beside them. */
  get keepsArchives(): boolean {
    return this.snapshotter.driver.keepsArchive;
  }

  snapshotterOf(top: Digest | undefined): SnapshotterName {
    return top === undefined ? "overlay" : this.#driver(top).name;
  }

  /** As lowers, but only their names. */
  dirs(top: Digest | undefined): readonly string[] {
    return this.chain(top).map((row) => this.#dir(row.chainId));
  }

  /** Applies an archive as it came: its digest is the layer's. */
  async unpack(request: UnpackRequest): Promise<Layer> {
    const { parent, diffId, hold } = request;
    const known = diffId === undefined ? undefined : this.#parts.records.layer(chainId(parent, diffId));
    if (known !== undefined) return this.#keep(known, hold);
    return this.#prepare(async (target) => {
      const { unpacked, tar } = await this.#runUnpack(
        this.#onParents(request),
        target,
        request.blob === undefined ? "never" : "if-ours",
      );
      const isOurs = unpacked.canonical?.digest === tar.digest || this.snapshotter.driver.keepsArchive;
      const blob = isOurs ? undefined : request.blob;
      await this.#settle({ target, unpacked, tar }, request);
      return this.#commit(
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
      if (!this.snapshotter.driver.keepsArchive)
        return this.#commitMeasured(target, unpacked.canonical, request);
      await this.#settle({ target, unpacked, tar }, request);
      return this.#remake(target, request);
    });
  }

  /** A driver that keeps archives gets gantry's own of the layer that it has made. */
  #remake(foreign: string, { parent, hold, signal }: UnpackRequest): Promise<Layer> {
    const source = this.snapshotter.driver.ownArchive(dirname(foreign), signal);
    return this.#prepare(async (target) => {
      const request = { source, diffId: undefined, signal, parents: [], vouched: true };
      const { unpacked, tar } = await this.#runUnpack(request, target, "never");
      await this.#settle({ target, unpacked, tar }, { parent, signal });
      const made = { diffId: tar.digest, tarSize: tar.size, size: unpacked.size, parent, blob: undefined };
      return this.#commit(target, made, hold);
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
    const known = this.#parts.records.layer(chainId(parent, tar.digest));
    if (known !== undefined) return this.#keep(known, hold);
    if (parent !== undefined) hold.keep(parent);
    await this.#settle({ target, unpacked, tar }, { parent, signal });
    const made = { diffId: tar.digest, tarSize: tar.size, size: unpacked.size, parent, blob };
    return this.#commit(target, made, hold);
  }

  /** Makes an upper directory a layer; undefined when it changes nothing. */
  async diff({ upper, parent, hold, stubs, signal }: DiffLayerRequest): Promise<Layer | undefined> {
    if (parent !== undefined) hold.keep(parent);
    return this.#prepare(async (target) => {
      fs.rmdirSync(target);
      fs.renameSync(upper, target);
      const work: ChildJob = { job: "diff-layer", target, parents: this.lowers(parent), stubs: stubs ?? [] };
      const measured = (await runChild({ scratch: this.scratch, work, signal })) as MeasuredLayer | null;
      return measured === null ? undefined : this.#commitMeasured(target, measured, { parent, hold });
    });
  }

  /**
   * The layer's uncompressed tar: from the archive that was kept, or made again from the directory.
   * @throws {GantryError} "corrupt" at the end when the bytes are not those of the diff id
   */
  async *tar(row: LayerRow, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, void> {
    const driver = this.#driver(row.chainId);
    const source =
      row.blob === undefined || driver.keepsArchive
        ? driver.archive(this.#home(row.chainId), row.tarSize, signal)
        : decompress(this.#parts.content.read(row.blob), { maxBytes: row.tarSize });
    const digester: Digester = { size: 0, digest: undefined };
    yield* digested(source, digester);
    if (digester.digest === row.diffId) return;
    throw new GantryError(
      "corrupt",
      `layer ${row.diffId} has been changed on disk: its digest now is ${digester.digest}`,
      {
        hint: "remove the image and make or load it anew",
      },
    );
  }

  /** The tar of a diff id that some layer here has. @throws {GantryError} "not-found" */
  anyTar(diffId: Digest, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    const row = this.#parts.records.layerByDiffId(diffId);
    if (row === undefined) throw new GantryError("not-found", `no layer has the diff id ${diffId}`);
    return this.tar(row, signal);
  }

  /** Deletes those of the layers, and then of their parents, that nothing needs; returns their chain ids. */
  collect(candidates: readonly Digest[]): readonly Layer[] {
    const { records, holds, content, background } = this.#parts;
    const gone: LayerRow[] = [];
    const queue = [...candidates];
    records.transaction(() => {
      for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
        const row = records.layer(id);
        if (row === undefined || holds.has(id) || records.isLayerNeeded(id)) continue;
        records.deleteLayer(id);
        gone.push(row);
        if (row.parent !== undefined) queue.push(row.parent);
      }
    });
    for (const { chainId: id, blob } of gone) {
      this.#driver(id).release(this.#home(id));
      void background.remove(this.#discard(this.#home(id)));
      if (blob !== undefined && !records.isBlobNeeded(blob)) content.remove(blob);
    }
    return gone.map((row) => this.#describe(row));
  }

  isOnDisk({ chainId: id }: LayerRow): boolean {
    return fs.existsSync(this.#home(id));
  }

  /** Tells two states of a layer's files from each other; gantry's own tar of them where they are a directory. */
  fingerprint({ chainId: id, tarSize }: LayerRow, signal: AbortSignal | undefined): Promise<Digest> {
    return this.#driver(id).fingerprint(this.#home(id), tarSize, signal);
  }

  /** The layer once more, from an archive of it: to be compared and swapped in. It is gone after `work`. */
  async rebuild<T>(
    row: LayerRow,
    { source, signal }: Pick<UnpackRequest, "source" | "signal">,
    work: (again: { readonly fingerprint: Digest; swap(): void }) => T,
  ): Promise<T> {
    const driver = this.#driver(row.chainId);
    return this.#prepare(async (target) => {
      const request = { source, diffId: row.diffId, signal, parents: [], vouched: true };
      const { unpacked, tar } = await this.#runUnpack(request, target, "never", driver);
      await this.#settle({ target, unpacked, tar }, { parent: row.parent, signal }, driver);
      const fingerprint = await driver.fingerprint(dirname(target), tar.size, signal);
      return work({ fingerprint, swap: () => this.#swap(row, driver, dirname(target)) });
    });
  }

  /** What uses the old files keeps them until it ends. */
  #swap({ chainId: id }: LayerRow, driver: LayerDriver, dir: string): void {
    const home = this.#home(id);
    driver.release(home);
    if (!fs.existsSync(home)) fs.renameSync(dir, home);
    else this.#parts.sys.rename2(dir, home, renameExchange);
    syncDirectory(this.#layers);
  }

  /** Protects a blob while `work` runs; it is removed after it unless a layer's record needs it then. */
  async withBlob<T>(blob: Digest, work: () => Promise<T>): Promise<T> {
    const { content, records } = this.#parts;
    const pin = content.pin(blob);
    try {
      return await work();
    } finally {
      pin[Symbol.dispose]();
      if (!records.isBlobNeeded(blob)) content.remove(blob);
    }
  }

  /** Takes mounts of layers away, but those of the layers that `kept` names and of what is below them. */
  close(kept: readonly Digest[]): void {
    const needed = new Set(kept.flatMap((top) => this.chain(top).map((row) => digestHex(row.chainId))));
    this.snapshotter.unmountAll((name) => needed.has(name));
  }

  /** Where the files of a layer are seen once it is in use. */
  #dir(id: Digest): string {
    return this.#driver(id).view(this.#home(id));
  }

  #home(id: Digest): string {
    return join(this.#layers, digestHex(id));
  }

  #driver(id: Digest): LayerDriver {
    return this.snapshotter.of(this.#home(id));
  }

  /** What directories that an unpacked layer does not describe inherit; it is synced then. */
  #settle(
    { target, unpacked, tar }: Omit<AppliedLayer, keyof AsyncDisposable>,
    { parent, signal }: Pick<UnpackRequest, "parent" | "signal">,
    driver = this.snapshotter.driver,
  ): Promise<void> {
    const parents = this.lowers(parent);
    return driver.settle({
      dir: dirname(target),
      unpacked,
      tarSize: tar.size,
      parents,
      signal,
    });
  }

  #describe({ chainId: id, diffId, parent, size }: LayerRow): Layer {
    return { chainId: id, diffId, parent, size, dir: this.#dir(id) };
  }

  #keep(row: LayerRow, hold: Hold): Layer {
    hold.keep(row.chainId);
    return this.#describe(row);
  }

  #onParents({ source, parent, diffId, hold, signal }: UnpackRequest): RunUnpack {
    if (parent !== undefined) hold.keep(parent);
    return { source, diffId, signal, parents: this.lowers(parent), vouched: diffId !== undefined };
  }

  async #runUnpack(
    { source, parents, diffId, signal, vouched }: RunUnpack,
    target: string,
    measure: "never" | "if-ours" | "always",
    driver = this.snapshotter.driver,
  ): Promise<{
    readonly unpacked: UnpackedLayer;
    readonly tar: { readonly size: number; readonly digest: Digest };
  }> {
    const maxBytes = spendableBytes(this.#parts.sys, this.#layers);
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
    return this.#commit(
      target,
      { diffId: parseDigest(digest), tarSize, size, parent, blob: undefined },
      hold,
    );
  }

  /** Synchronous from the look whether the layer exists to its record: two makers of one layer cannot collide. */
  #commit(target: string, made: Omit<LayerRow, "chainId">, hold: Hold): Layer {
    const { records } = this.#parts;
    const id = chainId(made.parent, made.diffId);
    const known = records.layer(id);
    if (known !== undefined) return this.#keep(known, hold);
    const dir = this.#home(id);
    fs.renameSync(dirname(target), dir);
    syncDirectory(this.#layers);
    const { diffId, parent, size, tarSize, blob } = made;
    const row: LayerRow = { chainId: id, diffId, parent, size, tarSize, blob };
    try {
      records.transaction(() => records.insertLayer(row));
    } catch (error) {
      void this.#parts.background.remove(this.#discard(dir));
      throw error;
    }
    return this.#keep(row, hold);
  }

  /** Out of the way at once; the result is to be deleted. */
  #discard(dir: string): string {
    const trash = this.#parts.content.temporaryPath("trash");
    if (fs.existsSync(dir)) fs.renameSync(dir, trash);
    return trash;
  }

  /** After a crash: temporary files, directories without record, blobs without layer. */
  #reconcile(): void {
    const { content, background, records } = this.#parts;
    for (const name of fs.readdirSync(content.temporary))
      if (!isPartial(name)) void background.remove(join(content.temporary, name));
    const recorded = new Set(records.layers().map((row) => digestHex(row.chainId)));
    for (const name of fs.readdirSync(this.#layers)) {
      if (!recorded.has(name)) void background.remove(this.#discard(join(this.#layers, name)));
    }
    this.snapshotter.unmountAll((name) => recorded.has(name));
    content.collect((digest) => records.isBlobNeeded(digest));
  }
}

const renameExchange = 2;
/** Headers of an archive of which every file is empty come on top of the content. */
const tarOverheadBytes = 2 ** 30;
