/** The tables of what the registry holds. */
import type { Migration } from "./migrate.ts";
import type { Sql } from "./sql.ts";

/**
 * Names sort by their bytes in both databases, whatever the locale. BYTEA is no type of SQLite, which keeps bytes as bytes
 * under any.
 *
 * Who removes a blob's bytes deletes its row in `blob` first, in a transaction that ends after the bytes are gone, and only
 * where `touched_ms` is old and no row of `repository_blob` is left; who adds bytes writes both rows before. So one waits for
 * the other at the row.
 */
export function metadataTables({ dialect }: Sql): Migration {
  const name = dialect === "postgres" ? 'TEXT COLLATE "C"' : "TEXT";
  return [
    [
      `CREATE TABLE repository (name ${name} PRIMARY KEY, created_ms BIGINT NOT NULL)`,
      `CREATE TABLE blob (digest ${name} PRIMARY KEY, size BIGINT NOT NULL, touched_ms BIGINT NOT NULL)`,
      `CREATE TABLE repository_blob (
        repository ${name} NOT NULL, digest ${name} NOT NULL, touched_ms BIGINT NOT NULL,
        PRIMARY KEY (repository, digest))`,
      "CREATE INDEX repository_blob_digest ON repository_blob (digest)",
      `CREATE TABLE manifest (
        repository ${name} NOT NULL, digest ${name} NOT NULL, media_type TEXT NOT NULL, bytes BYTEA NOT NULL,
        size BIGINT NOT NULL, total_bytes BIGINT NOT NULL, subject ${name}, artifact_type TEXT, annotations TEXT,
        pushed_ms BIGINT NOT NULL, pulled_ms BIGINT NOT NULL,
        PRIMARY KEY (repository, digest))`,
      "CREATE INDEX manifest_subject ON manifest (repository, subject, digest)",
      `CREATE TABLE manifest_reference (
        repository ${name} NOT NULL, manifest ${name} NOT NULL, child ${name} NOT NULL, kind TEXT NOT NULL,
        PRIMARY KEY (repository, manifest, child, kind))`,
      "CREATE INDEX manifest_reference_child ON manifest_reference (repository, child)",
      `CREATE TABLE tag (
        repository ${name} NOT NULL, name ${name} NOT NULL, digest ${name} NOT NULL, updated_ms BIGINT NOT NULL,
        PRIMARY KEY (repository, name))`,
      "CREATE INDEX tag_digest ON tag (repository, digest)",
      `CREATE TABLE upload (
        id ${name} PRIMARY KEY, repository ${name} NOT NULL, started_ms BIGINT NOT NULL, touched_ms BIGINT NOT NULL)`,
      "CREATE INDEX upload_touched ON upload (touched_ms)",
    ],
  ];
}
