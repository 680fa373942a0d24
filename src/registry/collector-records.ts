/**
 * What nobody needs any more, found and forgotten a little at a time. Two rules make it safe beside pushes: nothing that was
 * touched within the grace period is forgotten, and the bytes of a blob are removed inside the transaction that deletes its
 * row, for which whoever brings the blob again waits before it puts the bytes into their place.
 */
import { type Digest, parseDigest } from "../lib/index.ts";
import type { Sql, SqlRow } from "./sql.ts";

/** A blob that no repository has and no cache keeps. */
const unused = `NOT EXISTS (SELECT 1 FROM repository_blob l WHERE l.digest = blob.digest)
  AND NOT EXISTS (SELECT 1 FROM upstream_blob u WHERE u.digest = blob.digest AND u.stored = 1)`;

const unreferenced = `NOT EXISTS (SELECT 1 FROM manifest_reference r WHERE r.repository = repository_blob.repository
  AND r.child = repository_blob.digest AND r.kind = 'blob')`;

export interface BlobRecord {
  readonly digest: Digest;
  readonly size: number;
}

const pageSize = 500;

export class CollectorRecords {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Links of repositories to blobs that none of their manifests names, in pages: links that were removed, or would be. */
  async *unlinkUnreferenced(beforeMs: number, dryRun: boolean): AsyncIterable<number> {
    for (let after: SqlRow | undefined = { repository: "", digest: "" }; after !== undefined;) {
      const page: readonly SqlRow[] = await this.#sql.query(
        `SELECT repository, digest, CASE WHEN touched_ms < $1 AND ${unreferenced} THEN 1 ELSE 0 END AS old
         FROM repository_blob WHERE (repository, digest) > ($2, $3) ORDER BY repository, digest LIMIT ${pageSize}`,
        beforeMs,
        String(after["repository"]),
        String(after["digest"]),
      );
      const old = page.filter((row) => Number(row["old"]) === 1);
      yield dryRun ? old.length : await this.#unlink(old, beforeMs);
      after = page.length < pageSize ? undefined : page.at(-1);
    }
  }

  async #unlink(links: readonly SqlRow[], beforeMs: number): Promise<number> {
    let count = 0;
    for (const { repository, digest } of links) {
      const gone = await this.#sql.query(
        `DELETE FROM repository_blob WHERE repository = $1 AND digest = $2 AND touched_ms < $3 AND ${unreferenced}
         RETURNING digest`,
        String(repository),
        String(digest),
        beforeMs,
      );
      count += gone.length;
    }
    return count;
  }

  async unusedBlobs(beforeMs: number, after: string): Promise<readonly BlobRecord[]> {
    const rows = await this.#sql.query(
      `SELECT digest, size FROM blob WHERE digest > $1 AND touched_ms < $2 AND ${unused} ORDER BY digest LIMIT ${pageSize}`,
      after,
      beforeMs,
    );
    return rows.map(recordOf);
  }

  /** Deletes the row of a blob that is still unused, and its bytes with it. */
  async removeBlob(digest: Digest, beforeMs: number, remove: () => Promise<void>): Promise<boolean> {
    return this.#sql.transaction(async (sql) => {
      const rows = await sql.query(
        `DELETE FROM blob WHERE digest = $1 AND touched_ms < $2 AND ${unused} RETURNING digest`,
        digest,
        beforeMs,
      );
      // Run again after a collision, it finds nothing to remove, or removes the same.
      if (rows.length > 0) await remove();
      return rows.length > 0;
    });
  }

  /** Removes bytes that have no row. The row that is there meanwhile makes others wait. */
  async removeUnrecorded(digest: Digest, remove: () => Promise<void>): Promise<boolean> {
    return this.#sql.transaction(async (sql) => {
      const rows = await sql.query(
        "INSERT INTO blob VALUES ($1, 0, 0) ON CONFLICT (digest) DO NOTHING RETURNING digest",
        digest,
      );
      if (rows.length === 0) return false;
      await remove();
      await sql.query("DELETE FROM blob WHERE digest = $1", digest);
      return true;
    });
  }

  /** Those of `digests` that have a row. */
  async recorded(digests: readonly Digest[]): Promise<ReadonlySet<string>> {
    const places = digests.map((_, i) => `$${i + 1}`).join(", ");
    const rows = await this.#sql.query(`SELECT digest FROM blob WHERE digest IN (${places})`, ...digests);
    return new Set(rows.map((row) => String(row["digest"])));
  }

  /** Blobs that somebody needs. */
  async blobs(after: string, limit: number): Promise<readonly BlobRecord[]> {
    const rows = await this.#sql.query(
      `SELECT digest, size FROM blob WHERE digest > $1 AND NOT (${unused}) ORDER BY digest LIMIT $2`,
      after,
      limit,
    );
    return rows.map(recordOf);
  }

  async repositoriesOf(digest: Digest): Promise<readonly string[]> {
    const rows = await this.#sql.query(
      "SELECT repository FROM repository_blob WHERE digest = $1 ORDER BY repository LIMIT 20",
      digest,
    );
    return rows.map((row) => String(row["repository"]));
  }

  async expiredUploads(beforeMs: number): Promise<readonly string[]> {
    const rows = await this.#sql.query(
      `SELECT id FROM upload WHERE touched_ms < $1 ORDER BY touched_ms LIMIT ${pageSize}`,
      beforeMs,
    );
    return rows.map((row) => String(row["id"]));
  }

  async countExpiredUploads(beforeMs: number): Promise<number> {
    const [row] = await this.#sql.query(
      "SELECT COUNT(*) AS count FROM upload WHERE touched_ms < $1",
      beforeMs,
    );
    return Number(row?.["count"] ?? 0);
  }

  /** False: somebody has gone on with it. */
  async forgetUpload(id: string, beforeMs: number): Promise<boolean> {
    const rows = await this.#sql.query(
      "DELETE FROM upload WHERE id = $1 AND touched_ms < $2 RETURNING id",
      id,
      beforeMs,
    );
    return rows.length > 0;
  }

  async hasUpload(id: string): Promise<boolean> {
    return (await this.#sql.query("SELECT 1 AS found FROM upload WHERE id = $1", id)).length > 0;
  }

  /** Repositories that have nothing any more. */
  async removeEmptied(beforeMs: number): Promise<number> {
    const rows = await this.#sql.query(
      `DELETE FROM repository WHERE created_ms < $1
         AND NOT EXISTS (SELECT 1 FROM manifest WHERE manifest.repository = repository.name)
         AND NOT EXISTS (SELECT 1 FROM repository_blob WHERE repository_blob.repository = repository.name)
         AND NOT EXISTS (SELECT 1 FROM upload WHERE upload.repository = repository.name) RETURNING name`,
      beforeMs,
    );
    return rows.length;
  }
}

function recordOf(row: SqlRow): BlobRecord {
  return { digest: parseDigest(String(row["digest"])), size: Number(row["size"]) };
}
