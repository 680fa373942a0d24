/** The room's tables: layers, images and their names. All reads and writes of SQLite are here. */
import { type Database, type Digest, parseDigest, type Row } from "../lib/index.ts";

const migrations: readonly string[] = [
  `CREATE TABLE image_layer (
     chain_id TEXT PRIMARY KEY,
     diff_id TEXT NOT NULL,
     parent TEXT REFERENCES image_layer (chain_id),
     size INTEGER NOT NULL,
     tar_size INTEGER NOT NULL,
     blob TEXT
   ) STRICT`,
  "CREATE INDEX image_layer_parent ON image_layer (parent)",
  "CREATE INDEX image_layer_blob ON image_layer (blob)",
  `CREATE TABLE image (
     id TEXT PRIMARY KEY,
     config BLOB NOT NULL,
     chain_id TEXT REFERENCES image_layer (chain_id),
     parent TEXT
   ) STRICT`,
  "CREATE INDEX image_chain ON image (chain_id)",
  "CREATE INDEX image_parent ON image (parent)",
  `CREATE TABLE image_name (
     name TEXT PRIMARY KEY,
     image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE
   ) STRICT`,
  "CREATE INDEX image_name_image ON image_name (image)",
  "ALTER TABLE image_name ADD COLUMN manifest TEXT",
  `CREATE TABLE image_manifest (
     number INTEGER PRIMARY KEY,
     digest TEXT NOT NULL UNIQUE,
     media_type TEXT NOT NULL,
     bytes BLOB NOT NULL,
     image TEXT REFERENCES image (id) ON DELETE CASCADE
   ) STRICT`,
  "CREATE INDEX image_manifest_image ON image_manifest (image)",
  `CREATE TABLE image_content (
     manifest TEXT NOT NULL REFERENCES image_manifest (digest) ON DELETE CASCADE,
     child TEXT NOT NULL,
     PRIMARY KEY (manifest, child)
   ) STRICT`,
  "CREATE INDEX image_content_child ON image_content (child)",
  `CREATE TABLE image_blob (
     digest TEXT PRIMARY KEY,
     diff_id TEXT NOT NULL,
     compression TEXT NOT NULL,
     level INTEGER,
     size INTEGER NOT NULL,
     used_ms INTEGER NOT NULL
   ) STRICT`,
  "CREATE INDEX image_blob_diff ON image_blob (diff_id)",
  `CREATE TABLE image_lease (
     holder TEXT NOT NULL,
     layer TEXT NOT NULL REFERENCES image_layer (chain_id),
     PRIMARY KEY (holder, layer)
   ) STRICT`,
  "CREATE INDEX image_lease_layer ON image_lease (layer)",
  "CREATE INDEX image_layer_diff ON image_layer (diff_id)",
];

export interface LayerRow {
  readonly chainId: Digest;
  readonly diffId: Digest;
  readonly parent: Digest | undefined;
  /** Bytes of the files. */
  readonly size: number;
  /** Bytes of the uncompressed tar that diffId is the digest of. */
  readonly tarSize: number;
  /** The archive it came as, kept where only that has the layer's digest. */
  readonly blob: Digest | undefined;
}

export interface ImageRow {
  readonly id: Digest;
  readonly config: Uint8Array;
  readonly chainId: Digest | undefined;
  readonly parent: Digest | undefined;
}

export interface NameRow {
  /** Canonical: `docker.io/library/busybox:latest`. */
  readonly name: string;
  readonly image: Digest;
  /** What it was pulled, loaded or pushed as: an index or a manifest. */
  readonly manifest: Digest | undefined;
}

export class ImageRecords {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
    db.migrate("image", migrations);
  }

  transaction<T>(work: () => T): T {
    return this.#db.transaction(work, true);
  }

  layers(): readonly LayerRow[] {
    return this.#db.all("SELECT * FROM image_layer").map(toLayer);
  }

  layer(chainId: Digest): LayerRow | undefined {
    const row = this.#db.get("SELECT * FROM image_layer WHERE chain_id = ?", chainId);
    return row === undefined ? undefined : toLayer(row);
  }

  layerByDiffId(diffId: Digest): LayerRow | undefined {
    const row = this.#db.get("SELECT * FROM image_layer WHERE diff_id = ? LIMIT 1", diffId);
    return row === undefined ? undefined : toLayer(row);
  }

  insertLayer(layer: LayerRow): void {
    const { chainId, diffId, parent, size, tarSize, blob } = layer;
    this.#db.run(
      "INSERT INTO image_layer VALUES (?, ?, ?, ?, ?, ?)",
      chainId,
      diffId,
      parent ?? null,
      size,
      tarSize,
      blob ?? null,
    );
  }

  deleteLayer(chainId: Digest): void {
    this.#db.run("DELETE FROM image_layer WHERE chain_id = ?", chainId);
  }

  /** True when an image, a layer on top or a lease needs the layer. */
  isLayerNeeded(chainId: Digest): boolean {
    const sql =
      "SELECT 1 AS n WHERE EXISTS (SELECT 1 FROM image WHERE chain_id = ?1) OR EXISTS (SELECT 1 FROM image_layer WHERE parent = ?1) OR EXISTS (SELECT 1 FROM image_lease WHERE layer = ?1)";
    return this.#db.get(sql, chainId) !== undefined;
  }

  /** Layers that neither an image, a layer on top nor a lease needs. */
  spareLayers(): readonly Digest[] {
    return this.#db
      .all(
        `SELECT chain_id FROM image_layer l
         WHERE NOT EXISTS (SELECT 1 FROM image WHERE chain_id = l.chain_id)
           AND NOT EXISTS (SELECT 1 FROM image_layer WHERE parent = l.chain_id)
           AND NOT EXISTS (SELECT 1 FROM image_lease WHERE layer = l.chain_id)`,
      )
      .map((row) => digestOf(row, "chain_id"));
  }

  /** Keeps a layer, in this process and later ones, until the holder lets go. */
  putLease(holder: string, layer: Digest): void {
    this.#db.run("INSERT INTO image_lease VALUES (?, ?) ON CONFLICT DO NOTHING", holder, layer);
  }

  /** The layers that the holder kept. */
  deleteLeases(holder: string): readonly Digest[] {
    return this.#db
      .all("DELETE FROM image_lease WHERE holder = ? RETURNING layer", holder)
      .map((row) => digestOf(row, "layer"));
  }

  leasedLayer(holder: string): Digest | undefined {
    const row = this.#db.get("SELECT layer FROM image_lease WHERE holder = ?", holder);
    return row === undefined ? undefined : digestOf(row, "layer");
  }

  leaseHolders(): readonly string[] {
    return this.#db.all("SELECT DISTINCT holder FROM image_lease").map((row) => String(row["holder"]));
  }

  /** True when a layer needs it as its archive, or a manifest names it. */
  isBlobNeeded(blob: Digest): boolean {
    const sql =
      "SELECT 1 AS n WHERE EXISTS (SELECT 1 FROM image_layer WHERE blob = ?1) OR EXISTS (SELECT 1 FROM image_content WHERE child = ?1)";
    return this.#db.get(sql, blob) !== undefined;
  }

  images(): readonly ImageRow[] {
    return this.#db.all("SELECT * FROM image").map(toImage);
  }

  image(id: Digest): ImageRow | undefined {
    const row = this.#db.get("SELECT * FROM image WHERE id = ?", id);
    return row === undefined ? undefined : toImage(row);
  }

  restoreConfig(id: Digest, config: Uint8Array): void {
    this.#db.run("UPDATE image SET config = ? WHERE id = ?", config, id);
  }

  /** Keeps what is known of an image that is here already; a parent is added when it had none. */
  putImage({ id, config, chainId, parent }: ImageRow): void {
    this.#db.run(
      "INSERT INTO image VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET parent = coalesce(parent, excluded.parent)",
      id,
      config,
      chainId ?? null,
      parent ?? null,
    );
  }

  deleteImage(id: Digest): void {
    this.#db.run("DELETE FROM image WHERE id = ?", id);
  }

  names(): readonly NameRow[] {
    return this.#db.all("SELECT * FROM image_name").map((row) => ({
      name: String(row["name"]),
      image: digestOf(row, "image"),
      manifest: optionalDigest(row, "manifest"),
    }));
  }

  putName({ name, image, manifest }: NameRow): void {
    this.#db.run(
      "INSERT INTO image_name (name, image, manifest) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET image = excluded.image, manifest = excluded.manifest",
      name,
      image,
      manifest ?? null,
    );
  }

  deleteName(name: string): void {
    this.#db.run("DELETE FROM image_name WHERE name = ?", name);
  }
}

export function digestOf(row: Row, column: string): Digest {
  return parseDigest(String(row[column]));
}

export function optionalDigest(row: Row, column: string): Digest | undefined {
  return row[column] === null || row[column] === undefined ? undefined : digestOf(row, column);
}

function toLayer(row: Row): LayerRow {
  return {
    chainId: digestOf(row, "chain_id"),
    diffId: digestOf(row, "diff_id"),
    parent: optionalDigest(row, "parent"),
    size: Number(row["size"]),
    tarSize: Number(row["tar_size"]),
    blob: optionalDigest(row, "blob"),
  };
}

function toImage(row: Row): ImageRow {
  const { config } = row;
  return {
    id: digestOf(row, "id"),
    config: config instanceof Uint8Array ? config : new Uint8Array(),
    chainId: optionalDigest(row, "chain_id"),
    parent: optionalDigest(row, "parent"),
  };
}
