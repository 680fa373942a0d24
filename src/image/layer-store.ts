/**
 * Layers that are here, by chain id: `layers/HEX` and a record. A layer is prepared in a temporary directory (layer-maker.ts),
 * synced, renamed, and then recorded; a directory without record is what a crash left, and is removed at start.
 */
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import type { Sys } from "../kernel/index.ts";
import { type Digest, digestHex, GantryError, type Logger } from "../lib/index.ts";
import type { Background } from "./background.ts";
import { chainId } from "./chain-id.ts";
import { decompress } from "./compression.ts";
import { type ContentStore, syncDirectory } from "./content-store.ts";
import type { Holds } from "./holds.ts";
import type { LayerDriver, SnapshotterName } from "./layer-driver.ts";
import { isPartial } from "./partials.ts";
import type { ImageRecords, LayerRow } from "./records.ts";
import { Snapshotter, type SnapshotterWish } from "./snapshotter.ts";
import { type Digester, digested } from "./stream-digest.ts";
import type { Hold, Layer } from "./types.ts";

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

  tryRow(id: Digest): LayerRow | undefined {
    return this.#parts.records.layer(id);
  }

  has(id: Digest): boolean {
    return this.tryRow(id) !== undefined;
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
    return this.chain(top).map(({ chainId: id }) => this.driverOf(id).use(this.#home(id)));
  }

  /** New layers hold their archive: it need not be kept beside them. */
  get keepsArchives(): boolean {
    return this.snapshotter.driver.keepsArchive;
  }

  snapshotterOf(top: Digest | undefined): SnapshotterName {
    return top === undefined ? "overlay" : this.driverOf(top).name;
  }

  /** As lowers, but only their names. */
  dirs(top: Digest | undefined): readonly string[] {
    return this.chain(top).map((row) => this.#dir(row.chainId));
  }

  /**
   * The layer's uncompressed tar: from the archive that was kept, or made again from the directory.
   * @throws {GantryError} "corrupt" at the end when the bytes are not those of the diff id
   */
  async *tar(row: LayerRow, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, void> {
    const driver = this.driverOf(row.chainId);
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

  /** Deletes those of the layers, and then of their parents, that nothing needs. Their archives are the collector's. */
  collect(candidates: readonly Digest[]): readonly Layer[] {
    const { records, holds, background } = this.#parts;
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
    for (const { chainId: id } of gone) {
      this.driverOf(id).release(this.#home(id));
      void background.remove(this.#discard(this.#home(id)));
    }
    return gone.map((row) => this.#describe(row));
  }

  isOnDisk({ chainId: id }: LayerRow): boolean {
    return fs.existsSync(this.#home(id));
  }

  /** Tells two states of a layer's files from each other; gantry's own tar of them where they are a directory. */
  fingerprint({ chainId: id, tarSize }: LayerRow, signal: AbortSignal | undefined): Promise<Digest> {
    return this.driverOf(id).fingerprint(this.#home(id), tarSize, signal);
  }

  /** What uses the old files keeps them until it ends. */
  swap({ chainId: id }: LayerRow, dir: string): void {
    const home = this.#home(id);
    this.driverOf(id).release(home);
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
    return this.driverOf(id).view(this.#home(id));
  }

  #home(id: Digest): string {
    return join(this.#layers, digestHex(id));
  }

  /** What keeps the files of a layer that is here. */
  driverOf(id: Digest): LayerDriver {
    return this.snapshotter.of(this.#home(id));
  }

  #describe({ chainId: id, diffId, parent, size }: LayerRow): Layer {
    return { chainId: id, diffId, parent, size, dir: this.#dir(id) };
  }

  /** The layer, held. */
  keep(row: LayerRow, hold: Hold): Layer {
    hold.keep(row.chainId);
    return this.#describe(row);
  }

  /** Synchronous from the look whether the layer exists to its record: two makers of one layer cannot collide. */
  commit(target: string, made: Omit<LayerRow, "chainId">, hold: Hold): Layer {
    const { records } = this.#parts;
    const id = chainId(made.parent, made.diffId);
    const known = records.layer(id);
    if (known !== undefined) return this.keep(known, hold);
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
    return this.keep(row, hold);
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
