/** What the registry knows: repositories, their blobs, manifests, tags and uploads. All of it is in `Sql`, none in memory. */
import type { RawManifest } from "../image/index.ts";
import { type Digest, parseDigest } from "../lib/index.ts";
import { insertManifest, missingChildren, type NewManifest, unlinkedBlobs } from "./manifest-rows.ts";
import { metadataTables } from "./metadata-tables.ts";
import { migrate } from "./migrate.ts";
import type { Sql, SqlRow } from "./sql.ts";
import type { CommitStep } from "./types.ts";

/** A blob as a repository has it. */
export interface LinkedBlob {
  readonly size: number;
  readonly touchedMs: number;
}

export interface StoredManifest extends RawManifest {
  readonly pulledMs: number;
}

export interface Referrer {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType: string | undefined;
  readonly annotations: unknown;
}

export interface Page {
  readonly limit: number;
  /** Only what sorts behind it. */
  readonly after?: string | undefined;
}

export class Metadata {
  readonly sql: Sql;

  private constructor(sql: Sql) {
    this.sql = sql;
  }

  /** @throws {GantryError} "unsupported" when a newer Gantry wrote the tables */
  static async open(sql: Sql): Promise<Metadata> {
    await migrate(sql, "content", metadataTables(sql));
    return new Metadata(sql);
  }

  async hasRepository(name: string): Promise<boolean> {
    return (await this.sql.query("SELECT 1 FROM repository WHERE name = $1", name)).length > 0;
  }

  /** Repositories with a manifest, by name. */
  async repositories({ limit, after = "" }: Page): Promise<readonly string[]> {
    const rows = await this.sql.query(
      `SELECT name FROM repository WHERE name > $1
       AND EXISTS (SELECT 1 FROM manifest WHERE manifest.repository = repository.name) ORDER BY name LIMIT $2`,
      after,
      limit,
    );
    return rows.map((row) => text(row, "name"));
  }

  /**
   * Says that a blob's bytes are about to be put into their place: nobody removes them for a while.
   * @returns its size where it is known
   */
  async claimBlob(digest: Digest, nowMs: number): Promise<number | undefined> {
    const [row] = await this.sql.query(
      `INSERT INTO blob VALUES ($1, -1, $2) ON CONFLICT (digest) DO UPDATE SET touched_ms = 1 +
         CASE WHEN blob.touched_ms > excluded.touched_ms THEN blob.touched_ms ELSE excluded.touched_ms END
       RETURNING size`,
      digest,
      nowMs,
    );
    const size = row === undefined ? -1 : number(row, "size");
    return size < 0 ? undefined : size;
  }

  /**
   * Nothing came of a claim. Only a claim that made the row and that nobody has joined is taken back: each further claim puts
   * `touched_ms` beyond its own time.
   */
  async releaseClaim(digest: Digest, claimedMs: number): Promise<void> {
    await this.sql.query(
      "DELETE FROM blob WHERE digest = $1 AND size < 0 AND touched_ms = $2",
      digest,
      claimedMs,
    );
  }

  /** The claimed blob's bytes are in their place. */
  async setBlobSize(digest: Digest, size: number): Promise<void> {
    await this.sql.query("UPDATE blob SET size = $2 WHERE digest = $1", digest, size);
  }

  /** @param steps done first; when there are any, all is one transaction */
  async linkBlob(
    repository: string,
    digest: Digest,
    nowMs: number,
    steps: readonly CommitStep[] = [],
  ): Promise<void> {
    if (steps.length === 0) return linkBlob(this.sql, repository, digest, nowMs);
    await this.sql.transaction(async (sql) => {
      for (const step of steps) await step(sql);
      await linkBlob(sql, repository, digest, nowMs);
    });
  }

  /** Links a blob that is known; undefined: it is not. */
  async mountBlob(
    repository: string,
    digest: Digest,
    nowMs: number,
    steps: readonly CommitStep[] = [],
  ): Promise<number | undefined> {
    const [row] = await this.sql.query(
      "UPDATE blob SET touched_ms = $2 WHERE digest = $1 AND size >= 0 RETURNING size",
      digest,
      nowMs,
    );
    if (row === undefined) return undefined;
    await this.linkBlob(repository, digest, nowMs, steps);
    return number(row, "size");
  }

  async blob(repository: string, digest: Digest): Promise<LinkedBlob | undefined> {
    const [row] = await this.sql.query(
      `SELECT blob.size, repository_blob.touched_ms FROM repository_blob JOIN blob ON blob.digest = repository_blob.digest
       WHERE repository_blob.repository = $1 AND repository_blob.digest = $2 AND blob.size >= 0`,
      repository,
      digest,
    );
    return row === undefined
      ? undefined
      : { size: number(row, "size"), touchedMs: number(row, "touched_ms") };
  }

  /**
   * Somebody counts on it: whoever removes what nobody needs leaves it alone for a while.
   * @returns false when it has been removed just now
   */
  async touchBlob(repository: string, digest: Digest, nowMs: number): Promise<boolean> {
    const rows = await this.sql.query(
      "UPDATE repository_blob SET touched_ms = $3 WHERE repository = $1 AND digest = $2 RETURNING digest",
      repository,
      digest,
      nowMs,
    );
    return rows.length > 0;
  }

  /** Repositories that a blob could be mounted from. */
  async repositoriesWithBlob(digest: Digest, limit: number): Promise<readonly string[]> {
    const rows = await this.sql.query(
      "SELECT repository FROM repository_blob WHERE digest = $1 ORDER BY repository LIMIT $2",
      digest,
      limit,
    );
    return rows.map((row) => text(row, "repository"));
  }

  /** @returns false when the repository does not have it */
  async unlinkBlob(repository: string, digest: Digest): Promise<boolean> {
    const rows = await this.sql.query(
      "DELETE FROM repository_blob WHERE repository = $1 AND digest = $2 RETURNING digest",
      repository,
      digest,
    );
    return rows.length > 0;
  }

  async manifest(
    repository: string,
    reference: Digest | { readonly tag: string },
  ): Promise<StoredManifest | undefined> {
    const [row] =
      typeof reference === "string"
        ? await this.sql.query(
            "SELECT digest, media_type, bytes, pulled_ms FROM manifest WHERE repository = $1 AND digest = $2",
            repository,
            reference,
          )
        : await this.sql.query(
            `SELECT manifest.digest, media_type, bytes, pulled_ms FROM tag
             JOIN manifest ON manifest.repository = tag.repository AND manifest.digest = tag.digest
             WHERE tag.repository = $1 AND tag.name = $2`,
            repository,
            reference.tag,
          );
    const bytes = row?.["bytes"];
    if (row === undefined || !(bytes instanceof Uint8Array)) return undefined;
    return {
      digest: parseDigest(text(row, "digest")),
      mediaType: text(row, "media_type"),
      bytes,
      pulledMs: number(row, "pulled_ms"),
    };
  }

  async touchManifest(repository: string, digest: Digest, nowMs: number): Promise<void> {
    await this.sql.query(
      "UPDATE manifest SET pulled_ms = $3 WHERE repository = $1 AND digest = $2",
      repository,
      digest,
      nowMs,
    );
  }

  /** Those of `digests` that the repository does not have, whatever others do. */
  async unlinkedBlobs(repository: string, digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    return unlinkedBlobs(this.sql, repository, digests);
  }

  /**
   * Records a manifest and its tags, durably. The blobs it needs must be linked.
   * @param steps done in the same transaction
   * @returns what is missing: nothing has been recorded then
   */
  async putManifest(
    manifest: NewManifest,
    nowMs: number,
    mayMiss: boolean,
    steps: readonly CommitStep[] = [],
  ): Promise<readonly Digest[]> {
    return this.sql.transaction(async (sql) => {
      const missing = await missingChildren(sql, manifest, nowMs, mayMiss);
      if (missing.length > 0) return missing;
      for (const step of steps) await step(sql);
      await insertManifest(sql, manifest, nowMs);
      return missing;
    });
  }

  /** With its tags. @param step done in the same transaction @returns the tags; undefined: there is no such manifest */
  async deleteManifest(
    repository: string,
    digest: Digest,
    step?: CommitStep,
  ): Promise<readonly string[] | undefined> {
    return this.sql.transaction(async (sql) => {
      const found = await sql.query(
        "DELETE FROM manifest WHERE repository = $1 AND digest = $2 RETURNING digest",
        repository,
        digest,
      );
      if (found.length === 0) return undefined;
      await step?.(sql);
      await sql.query(
        "DELETE FROM manifest_reference WHERE repository = $1 AND manifest = $2",
        repository,
        digest,
      );
      const tags = await sql.query(
        "DELETE FROM tag WHERE repository = $1 AND digest = $2 RETURNING name",
        repository,
        digest,
      );
      return tags.map((row) => text(row, "name"));
    });
  }

  /**
   * @param step done in the same transaction, with what the tag meant
   * @returns what it meant; undefined: there is no such tag
   */
  async deleteTag(
    repository: string,
    tag: string,
    step?: (tx: Sql, digest: Digest) => Promise<void>,
  ): Promise<Digest | undefined> {
    return this.sql.transaction(async (sql) => {
      const [row] = await sql.query(
        "DELETE FROM tag WHERE repository = $1 AND name = $2 RETURNING digest",
        repository,
        tag,
      );
      if (row === undefined) return undefined;
      const digest = parseDigest(text(row, "digest"));
      await step?.(sql, digest);
      return digest;
    });
  }

  async tags(repository: string, { limit, after = "" }: Page): Promise<readonly string[]> {
    const rows = await this.sql.query(
      "SELECT name FROM tag WHERE repository = $1 AND name > $2 ORDER BY name LIMIT $3",
      repository,
      after,
      limit,
    );
    return rows.map((row) => text(row, "name"));
  }

  async referrers(
    repository: string,
    subject: Digest,
    { artifactType, limit, after = "" }: Page & { readonly artifactType?: string | undefined },
  ): Promise<readonly Referrer[]> {
    const filter = artifactType === undefined ? "" : "AND artifact_type = $5";
    const rows = await this.sql.query(
      `SELECT digest, media_type, size, artifact_type, annotations FROM manifest
       WHERE repository = $1 AND subject = $2 AND digest > $3 ${filter} ORDER BY digest LIMIT $4`,
      repository,
      subject,
      after,
      limit,
      ...(artifactType === undefined ? [] : [artifactType]),
    );
    return rows.map(referrerOf);
  }

  async beginUpload(id: string, repository: string, nowMs: number): Promise<void> {
    await this.sql.query("INSERT INTO upload VALUES ($1, $2, $3, $3)", id, repository, nowMs);
  }

  /** Uploads that are open, of one repository and of all. */
  async openUploads(repository: string): Promise<{ readonly own: number; readonly all: number }> {
    const [row] = await this.sql.query(
      "SELECT COUNT(*) AS every, COUNT(CASE WHEN repository = $1 THEN 1 END) AS own FROM upload",
      repository,
    );
    return row === undefined ? { own: 0, all: 0 } : { own: number(row, "own"), all: number(row, "every") };
  }

  /** Keeps an upload from expiring. @returns false when the repository has no such upload */
  async touchUpload(id: string, repository: string, nowMs: number): Promise<boolean> {
    const rows = await this.sql.query(
      "UPDATE upload SET touched_ms = $3 WHERE id = $1 AND repository = $2 RETURNING id",
      id,
      repository,
      nowMs,
    );
    return rows.length > 0;
  }

  async endUpload(id: string): Promise<void> {
    await this.sql.query("DELETE FROM upload WHERE id = $1", id);
  }

  /** Uploads that nobody has gone on with since. */
  async staleUploads(beforeMs: number, limit: number): Promise<readonly string[]> {
    const rows = await this.sql.query(
      "SELECT id FROM upload WHERE touched_ms < $1 ORDER BY touched_ms LIMIT $2",
      beforeMs,
      limit,
    );
    return rows.map((row) => text(row, "id"));
  }
}

async function linkBlob(sql: Sql, repository: string, digest: Digest, nowMs: number): Promise<void> {
  await sql.query("INSERT INTO repository VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", repository, nowMs);
  await sql.query(
    `INSERT INTO repository_blob VALUES ($1, $2, $3)
     ON CONFLICT (repository, digest) DO UPDATE SET touched_ms = excluded.touched_ms`,
    repository,
    digest,
    nowMs,
  );
}

function referrerOf(row: SqlRow): Referrer {
  const { annotations, artifact_type } = row;
  return {
    mediaType: text(row, "media_type"),
    digest: parseDigest(text(row, "digest")),
    size: number(row, "size"),
    artifactType: typeof artifact_type === "string" ? artifact_type : undefined,
    annotations: typeof annotations === "string" ? JSON.parse(annotations) : undefined,
  };
}

function text(row: SqlRow, column: string): string {
  return String(row[column]);
}

function number(row: SqlRow, column: string): number {
  return Number(row[column]);
}
