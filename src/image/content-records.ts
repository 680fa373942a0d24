/** The tables of manifests and of layers' archives (records.ts makes them). */
import type { Database, Digest, Row } from "../lib/index.ts";
import type { Compression } from "./compression.ts";
import { childrenOf, parseManifest, type RawManifest } from "./manifest.ts";
import { digestOf, optionalDigest } from "./records.ts";

export interface ManifestRow extends RawManifest {
  /** The image it describes; undefined for an index. */
  readonly image: Digest | undefined;
}

/** One form of a layer: its tar, compressed in some way. The file may be missing where it can be made again. */
export interface BlobRow {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly compression: Compression;
  /** Of our compression, which makes the same bytes again; undefined: it came from elsewhere. */
  readonly level: number | undefined;
  /** Bytes. */
  readonly size: number;
  readonly usedMs: number;
}

export class ContentRecords {
  readonly #db: Database;

  /** @param db with the tables of ImageRecords */
  constructor(db: Database) {
    this.#db = db;
  }

  manifest(digest: Digest): ManifestRow | undefined {
    const row = this.#db.get("SELECT * FROM image_manifest WHERE digest = ?", digest);
    return row === undefined ? undefined : toManifest(row);
  }

  /** Newest first. */
  manifestsOf(image: Digest): readonly ManifestRow[] {
    return this.#db
      .all("SELECT * FROM image_manifest WHERE image = ? ORDER BY number DESC", image)
      .map(toManifest);
  }

  /** Newest first. */
  manifests(): readonly ManifestRow[] {
    return this.#db.all("SELECT * FROM image_manifest ORDER BY number DESC").map(toManifest);
  }

  putManifest({ digest, mediaType, bytes, image }: ManifestRow): void {
    const { changes } = this.#db.run(
      "INSERT INTO image_manifest (digest, media_type, bytes, image) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
      digest,
      mediaType,
      bytes,
      image ?? null,
    );
    if (changes === 0) return;
    for (const child of childrenOf(parseManifest(bytes, mediaType)))
      this.#db.run("INSERT INTO image_content VALUES (?, ?) ON CONFLICT DO NOTHING", digest, child.digest);
  }

  /** Writes a manifest again that was damaged on disk. */
  restoreManifest(digest: Digest, bytes: Uint8Array): void {
    this.#db.run("UPDATE image_manifest SET bytes = ? WHERE digest = ?", bytes, digest);
  }

  /** True when an index names a manifest. */
  isChild(index: Digest, child: Digest): boolean {
    const sql = "SELECT 1 AS n FROM image_content WHERE manifest = ? AND child = ?";
    return this.#db.get(sql, index, child) !== undefined;
  }

  /** Canonical names that came from, or went to, a registry with an image that has the blob. */
  namesWithBlob(blob: Digest): readonly string[] {
    return this.#db
      .all(
        `SELECT DISTINCT n.name FROM image_content c
           JOIN image_manifest m ON m.digest = c.manifest JOIN image_name n ON n.image = m.image
         WHERE c.child = ? AND n.manifest IS NOT NULL ORDER BY n.name LIMIT 100`,
        blob,
      )
      .map(({ name }) => String(name));
  }

  deleteManifest(digest: Digest): void {
    this.#db.run("DELETE FROM image_manifest WHERE digest = ?", digest);
  }

  /**
   * Manifests that nothing needs: no name means them, or an index with a name that holds them, and their image has another.
   */
  spareManifests(): readonly Digest[] {
    return this.#db
      .all(
        `WITH RECURSIVE kept (digest) AS (
           SELECT manifest FROM image_name WHERE manifest IS NOT NULL
           UNION SELECT c.child FROM image_content c JOIN kept k ON c.manifest = k.digest)
         SELECT m.digest FROM image_manifest m
         WHERE m.digest NOT IN (SELECT digest FROM kept)
           AND (m.image IS NULL OR EXISTS (
             SELECT 1 FROM image_manifest o WHERE o.image = m.image AND o.digest <> m.digest
               AND (o.number > m.number OR o.digest IN (SELECT digest FROM kept))))`,
      )
      .map((row) => digestOf(row, "digest"));
  }

  blob(digest: Digest): BlobRow | undefined {
    const row = this.#db.get("SELECT * FROM image_blob WHERE digest = ?", digest);
    return row === undefined ? undefined : toBlob(row);
  }

  /** All known forms of a layer, the last used first. */
  blobsOf(diffId: Digest): readonly BlobRow[] {
    return this.#db
      .all("SELECT * FROM image_blob WHERE diff_id = ? ORDER BY used_ms DESC, digest", diffId)
      .map(toBlob);
  }

  blobs(): readonly BlobRow[] {
    return this.#db.all("SELECT * FROM image_blob ORDER BY used_ms, digest").map(toBlob);
  }

  /** What came from elsewhere stays so: our compression may make the same bytes, but need not always. */
  putBlob({ digest, diffId, compression, level, size, usedMs }: BlobRow): void {
    this.#db.run(
      "INSERT INTO image_blob VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET used_ms = excluded.used_ms",
      digest,
      diffId,
      compression,
      level ?? null,
      size,
      usedMs,
    );
  }

  touchBlob(digest: Digest, usedMs: number): void {
    this.#db.run("UPDATE image_blob SET used_ms = ? WHERE digest = ?", usedMs, digest);
  }

  deleteBlob(digest: Digest): void {
    this.#db.run("DELETE FROM image_blob WHERE digest = ?", digest);
  }

  /** Forms of layers that neither a manifest nor a layer names. */
  spareBlobs(): readonly Digest[] {
    return this.#db
      .all(
        `SELECT digest FROM image_blob b
         WHERE NOT EXISTS (SELECT 1 FROM image_content c WHERE c.child = b.digest)
           AND NOT EXISTS (SELECT 1 FROM image_layer l WHERE l.blob = b.digest)`,
      )
      .map((row) => digestOf(row, "digest"));
  }

  /** True when a layer can only be told by this archive. */
  isLayerArchive(digest: Digest): boolean {
    return this.#db.get("SELECT 1 AS n FROM image_layer WHERE blob = ?", digest) !== undefined;
  }
}

function toManifest(row: Row): ManifestRow {
  const { bytes } = row;
  return {
    digest: digestOf(row, "digest"),
    mediaType: String(row["media_type"]),
    bytes: bytes instanceof Uint8Array ? bytes : new Uint8Array(),
    image: optionalDigest(row, "image"),
  };
}

function toBlob(row: Row): BlobRow {
  const level = row["level"];
  return {
    digest: digestOf(row, "digest"),
    diffId: digestOf(row, "diff_id"),
    compression: compressionOf(String(row["compression"])),
    level: level === null || level === undefined ? undefined : Number(level),
    size: Number(row["size"]),
    usedMs: Number(row["used_ms"]),
  };
}

function compressionOf(text: string): Compression {
  return text === "gzip" || text === "zstd" ? text : "none";
}
