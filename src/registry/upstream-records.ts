/** What is known of repositories upstream: manifests as they came, where tags pointed and when that was asked, which blobs are here. */
import type { Descriptor, RawManifest } from "../image/index.ts";
import { type Digest, parseDigest } from "../lib/index.ts";
import type { Migration } from "./migrate.ts";
import type { Sql, SqlRow } from "./sql.ts";

export function upstreamTables({ dialect }: Sql): Migration {
  const bytes = dialect === "postgres" ? "BYTEA" : "BLOB";
  return [
    [
      `CREATE TABLE upstream_tag (repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL,
        checked_ms BIGINT NOT NULL, PRIMARY KEY (repository, tag))`,
      `CREATE TABLE upstream_manifest (repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL,
        bytes ${bytes} NOT NULL, used_ms BIGINT NOT NULL, PRIMARY KEY (repository, digest))`,
      `CREATE TABLE upstream_blob (repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL,
        size BIGINT NOT NULL, stored BIGINT NOT NULL, used_ms BIGINT NOT NULL, PRIMARY KEY (repository, digest))`,
      "CREATE INDEX upstream_blob_digest ON upstream_blob (digest)",
      "CREATE INDEX upstream_blob_used ON upstream_blob (used_ms)",
    ],
  ];
}

export interface KnownTag {
  readonly digest: Digest;
  readonly checkedMs: number;
}

export interface KnownBlob extends Descriptor {
  readonly stored: boolean;
}

/** Uses closer together than this are one. */
const useGrainMs = 60_000;

export class UpstreamRecords {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  async tag(repository: string, tag: string): Promise<KnownTag | undefined> {
    const [row] = await this.#sql.query(
      "SELECT digest, checked_ms FROM upstream_tag WHERE repository = $1 AND tag = $2",
      repository,
      tag,
    );
    return row && { digest: parseDigest(String(row["digest"])), checkedMs: Number(row["checked_ms"]) };
  }

  async setTag(repository: string, tag: string, { digest, checkedMs }: KnownTag): Promise<void> {
    await this.#sql.query(
      `INSERT INTO upstream_tag VALUES ($1, $2, $3, $4) ON CONFLICT (repository, tag) DO UPDATE
        SET digest = excluded.digest, checked_ms = excluded.checked_ms`,
      repository,
      tag,
      digest,
      checkedMs,
    );
  }

  async removeTag(repository: string, tag: string): Promise<void> {
    await this.#sql.query("DELETE FROM upstream_tag WHERE repository = $1 AND tag = $2", repository, tag);
  }

  async tags(repository: string): Promise<readonly string[]> {
    const rows = await this.#sql.query(
      "SELECT tag FROM upstream_tag WHERE repository = $1 ORDER BY tag",
      repository,
    );
    return rows.map((row) => String(row["tag"]));
  }

  async manifest(repository: string, digest: Digest): Promise<RawManifest | undefined> {
    const [row] = await this.#sql.query(
      "SELECT media_type, bytes, used_ms FROM upstream_manifest WHERE repository = $1 AND digest = $2",
      repository,
      digest,
    );
    if (row === undefined) return undefined;
    await this.#used("upstream_manifest", repository, digest, row);
    const { media_type: mediaType, bytes } = row;
    return bytes instanceof Uint8Array ? { digest, mediaType: String(mediaType), bytes } : undefined;
  }

  /** @param blobs all that it points to */
  async addManifest(repository: string, manifest: RawManifest, blobs: readonly Descriptor[]): Promise<void> {
    const now = Date.now();
    await this.#sql.transaction(async (sql) => {
      await sql.query(
        `INSERT INTO upstream_manifest VALUES ($1, $2, $3, $4, $5) ON CONFLICT (repository, digest) DO UPDATE
          SET used_ms = excluded.used_ms`,
        repository,
        manifest.digest,
        manifest.mediaType,
        manifest.bytes,
        now,
      );
      for (const { digest, mediaType, size } of blobs)
        await sql.query(
          // Sizes are claims until the blob has been verified: a false one does not stay.
          `INSERT INTO upstream_blob VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT (repository, digest) DO UPDATE
            SET media_type = excluded.media_type, size = excluded.size WHERE upstream_blob.stored = 0`,
          repository,
          digest,
          mediaType,
          size,
          now,
        );
    });
  }

  async blob(repository: string, digest: Digest): Promise<KnownBlob | undefined> {
    const [row] = await this.#sql.query(
      "SELECT media_type, size, stored, used_ms FROM upstream_blob WHERE repository = $1 AND digest = $2",
      repository,
      digest,
    );
    if (row === undefined) return undefined;
    await this.#used("upstream_blob", repository, digest, row);
    return {
      digest,
      mediaType: String(row["media_type"]),
      size: Number(row["size"]),
      stored: Number(row["stored"]) === 1,
    };
  }

  /** Says that its bytes are about to be put into their place. */
  async touchBlob({ digest, size }: Descriptor): Promise<void> {
    await this.#sql.query(
      `INSERT INTO blob VALUES ($1, $2, $3)
       ON CONFLICT (digest) DO UPDATE SET size = excluded.size, touched_ms = excluded.touched_ms`,
      digest,
      size,
      Date.now(),
    );
  }

  /** The size is that of the verified bytes, whatever was claimed meanwhile. */
  async setStored(repository: string, { digest, size }: Descriptor): Promise<void> {
    await this.#sql.query(
      "UPDATE upstream_blob SET stored = 1, used_ms = $3, size = $4 WHERE repository = $1 AND digest = $2",
      repository,
      digest,
      Date.now(),
      size,
    );
  }

  /**
   * Forgets what has not been used since, and the longest unused blobs beyond `maxBytes`; the collector removes their bytes.
   * @returns how many blobs were forgotten
   */
  async expire(unusedSinceMs: number, maxBytes: number): Promise<number> {
    await this.#sql.query("DELETE FROM upstream_manifest WHERE used_ms < $1", unusedSinceMs);
    await this.#sql.query(
      `DELETE FROM upstream_tag WHERE NOT EXISTS (SELECT 1 FROM upstream_manifest m
        WHERE m.repository = upstream_tag.repository AND m.digest = upstream_tag.digest)`,
    );
    await this.#sql.query("DELETE FROM upstream_blob WHERE stored = 0 AND used_ms < $1", unusedSinceMs);
    const rows = await this.#sql.query(
      `SELECT digest, MAX(size) AS size, MAX(used_ms) AS used_ms FROM upstream_blob WHERE stored = 1
        GROUP BY digest ORDER BY MAX(used_ms) DESC`,
    );
    let bytes = 0;
    let forgotten = 0;
    for (const row of rows) {
      bytes += Number(row["size"]);
      if (bytes <= maxBytes && Number(row["used_ms"]) >= unusedSinceMs) continue;
      await this.#sql.query("UPDATE upstream_blob SET stored = 0 WHERE digest = $1", String(row["digest"]));
      forgotten += 1;
    }
    return forgotten;
  }

  async #used(
    table: "upstream_manifest" | "upstream_blob",
    repository: string,
    digest: Digest,
    row: SqlRow,
  ): Promise<void> {
    const now = Date.now();
    if (now - Number(row["used_ms"]) < useGrainMs) return;
    await this.#sql.query(
      `UPDATE ${table} SET used_ms = $1 WHERE repository = $2 AND digest = $3`,
      now,
      repository,
      digest,
    );
  }
}
