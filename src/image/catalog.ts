/** All images in memory, as the records on disk have them: found by name, id or the beginning of an id. */
import { type Digest, digestHex, GantryError, isDigest } from "../lib/index.ts";
import { parseImageConfig } from "./image-config.ts";
import type { LayerStore } from "./layer-store.ts";
import type { ImageRecords, ImageRow } from "./records.ts";
import {
  canonicalName,
  familiarName,
  familiarRepository,
  parseReference,
  type Reference,
  tryParseReference,
  withDefaultTag,
} from "./reference.ts";
import type { ImageConfig, ImageRecord } from "./types.ts";

interface Entry {
  readonly row: ImageRow;
  readonly config: ImageConfig;
}

interface Named {
  readonly image: Digest;
  readonly manifest: Digest | undefined;
}

export class Catalog {
  readonly #records: ImageRecords;
  readonly #layers: LayerStore;
  readonly #images = new Map<Digest, Entry>();
  /** Canonical name to image. */
  readonly #names = new Map<string, Named>();
  /** Made on demand, dropped when names or images change. */
  readonly #described = new Map<Digest, ImageRecord>();

  constructor(records: ImageRecords, layers: LayerStore) {
    this.#records = records;
    this.#layers = layers;
    for (const row of records.images())
      this.#images.set(row.id, { row, config: parseImageConfig(row.config) });
    for (const { name, image, manifest } of records.names()) this.#names.set(name, { image, manifest });
  }

  /** Newest first. */
  list(): readonly ImageRecord[] {
    const all = [...this.#images.keys()].map((id) => this.#record(id));
    return all.sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : 1));
  }

  /** As Docker looks: a whole id, a name, then the beginning of an id. */
  tryFind(text: string): ImageRecord | undefined {
    const digest = /^[0-9a-f]{64}$/.test(text) ? `sha256:${text}` : text;
    if (isDigest(digest)) return this.#images.has(digest) ? this.#record(digest) : undefined;
    const named = this.#byName(text);
    const id = named ?? this.#byPrefix(text.replace(/^sha256:/, ""));
    return id === undefined ? undefined : this.#record(id);
  }

  /** @throws {GantryError} "not-found" in Docker's words */
  find(text: string): ImageRecord {
    const found = this.tryFind(text);
    if (found !== undefined) return found;
    throw new GantryError("not-found", `No such image: ${shown(text)}`, {
      hint: "see what there is with: gantry images; images enter with: gantry pull, build, load, import or image bootstrap",
      fields: { reference: text.slice(0, 300) },
    });
  }

  /** Canonical names of an image, sorted. */
  namesOf(id: Digest): readonly string[] {
    return [...this.#names]
      .filter(([, { image }]) => image === id)
      .map(([name]) => name)
      .sort();
  }

  /** The images a name means by tag: one, or without tag all of the repository. */
  tagged(reference: Reference): readonly { readonly image: ImageRecord; readonly tag: string }[] {
    const repository = familiarRepository(reference);
    const found: { readonly image: ImageRecord; readonly tag: string }[] = [];
    for (const [name, { image: id }] of this.#names) {
      const given = parseReference(name);
      const sameTag = reference.tag === undefined || given.tag === reference.tag;
      if (given.digest !== undefined || reference.digest !== undefined) continue;
      if (sameTag && familiarRepository(given) === repository)
        found.push({ image: this.#record(id), tag: familiarName(given) });
    }
    return found;
  }

  /** Images made on top of this one; without id those made on none. */
  children(parent: Digest | undefined): readonly ImageRecord[] {
    return this.list().filter((image) => image.parent === parent);
  }

  configBytes(id: Digest): Uint8Array {
    return this.#images.get(id)?.row.config ?? new Uint8Array();
  }

  /** As it is on disk now. */
  storedConfig(id: Digest): Uint8Array {
    return this.#records.image(id)?.config ?? new Uint8Array();
  }

  /** Writes a config again that was damaged on disk. */
  restoreConfig(id: Digest, config: Uint8Array): void {
    this.#records.transaction(() => this.#records.restoreConfig(id, config));
    const entry = this.#images.get(id);
    if (entry === undefined) return;
    this.#images.set(id, { row: { ...entry.row, config }, config: parseImageConfig(config) });
    this.#described.clear();
  }

  /**
   * Records an image and names for it, all or nothing.
   * @param manifest what it came as; `also` is recorded with it
   */
  put(
    row: ImageRow,
    names: readonly string[],
    { manifest, also }: { readonly manifest?: Digest; readonly also?: () => void } = {},
  ): ImageRecord {
    const config = parseImageConfig(row.config);
    this.#records.transaction(() => {
      this.#records.putImage(row);
      also?.();
      for (const name of names) this.#records.putName({ name, image: row.id, manifest });
    });
    const known = this.#images.get(row.id);
    const parent = known?.row.parent ?? row.parent;
    this.#images.set(row.id, { row: { ...row, parent }, config });
    for (const name of names) this.#names.set(name, { image: row.id, manifest });
    this.#described.clear();
    return this.#record(row.id);
  }

  /** Records what belongs to images, all or nothing. */
  also(work: () => void): void {
    this.#records.transaction(work);
  }

  name(name: string, image: Digest, manifest?: Digest): void {
    this.#records.transaction(() => this.#records.putName({ name, image, manifest }));
    this.#names.set(name, { image, manifest });
    this.#described.clear();
  }

  /** The image and the manifest that a canonical name means. */
  named(name: string): Named | undefined {
    return this.#names.get(name);
  }

  /** Takes names away and deletes images, in one transaction. */
  drop(names: readonly string[], images: readonly Digest[]): void {
    this.#records.transaction(() => {
      for (const name of names) this.#records.deleteName(name);
      for (const id of images) this.#records.deleteImage(id);
    });
    for (const name of names) this.#names.delete(name);
    for (const id of images) this.#images.delete(id);
    this.#described.clear();
  }

  /** Adds the name by digest, when there is the name. */
  noteDigest(reference: Reference, digest: Digest): void {
    const name = canonicalName(withDefaultTag(reference));
    const named = this.#names.get(name);
    if (named === undefined) return;
    this.name(name, named.image, digest);
    this.name(digestName(reference, digest), named.image, digest);
  }

  #byName(text: string): Digest | undefined {
    const reference = tryParseReference(text);
    if (reference === undefined) return undefined;
    const { domain, path, digest } = reference;
    // A digest says more than the tag beside it.
    const wanted = digest === undefined ? withDefaultTag(reference) : { domain, path, digest };
    return this.#names.get(canonicalName(wanted))?.image;
  }

  #byPrefix(prefix: string): Digest | undefined {
    if (!/^[0-9a-f]{1,64}$/.test(prefix)) return undefined;
    const found = [...this.#images.keys()].filter((id) => digestHex(id).startsWith(prefix));
    return found.length === 1 ? found[0] : undefined;
  }

  #record(id: Digest): ImageRecord {
    const known = this.#described.get(id);
    if (known !== undefined) return known;
    const record = this.#describe(id);
    this.#described.set(id, record);
    return record;
  }

  #describe(id: Digest): ImageRecord {
    const entry = this.#images.get(id);
    if (entry === undefined) throw new GantryError("not-found", `No such image: ${id}`);
    const { row, config } = entry;
    const familiar = this.namesOf(id).map((name) => familiarName(parseReference(name)));
    const created = Date.parse(config.created ?? "");
    const layers = this.#layers;
    return Object.freeze({
      id,
      config,
      repoTags: familiar.filter((name) => !name.includes("@")),
      repoDigests: familiar.filter((name) => name.includes("@")),
      size: this.#layers.chain(row.chainId).reduce((sum, layer) => sum + layer.size, 0),
      createdAtMs: Number.isFinite(created) && created > 0 ? created : 0,
      parent: row.parent,
      chainId: row.chainId,
      get lowers() {
        return layers.lowers(row.chainId);
      },
      layerDirs: layers.dirs(row.chainId),
      snapshotter: layers.snapshotterOf(row.chainId),
    });
  }
}

/** `docker.io/library/busybox@sha256:…` */
export function digestName({ domain, path }: Reference, digest: Digest): string {
  return canonicalName({ domain, path, digest });
}

function shown(text: string): string {
  const reference = tryParseReference(text);
  return reference === undefined ? text.slice(0, 300) : familiarName(withDefaultTag(reference));
}
