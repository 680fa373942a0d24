/** Where a registry keeps its records and its blobs, by its settings. */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../../lib/index.ts";
import { adminTables } from "../access/tables.ts";
import { Collector, type CollectorOptions } from "../collector.ts";
import type { Resolved } from "../config/resolved.ts";
import { parsePeriod } from "../config/values.ts";
import type { Metadata } from "../metadata.ts";
import type { BlobStore } from "../blob-store.ts";
import { DiskBlobs } from "../disk-blobs.ts";
import { S3Blobs } from "../s3-blobs.ts";
import { migrate } from "../migrate.ts";
import { PostgresSql } from "../postgres-sql.ts";
import type { Sql } from "../sql.ts";
import { SqliteSql } from "../sqlite-sql.ts";

/** Opens the database, its tables of accounts and rules brought up to date. @throws {GantryError} */
export async function openSql(settings: Resolved): Promise<Sql> {
  const url = settings.optional("database");
  const sql =
    url === undefined
      ? await openSqlite(join(settings.text("root"), "registry.db"))
      : await PostgresSql.open({ url });
  await migrate(sql, "admin", adminTables);
  return sql;
}

/** The tables hold the key of all tokens: SQLite gives its other files the mode of this one. */
function openSqlite(path: string): Promise<Sql> {
  closeSync(openSync(path, "a", 0o600));
  return SqliteSql.open(path);
}

export interface CollectorParts {
  readonly settings: Resolved;
  readonly metadata: Metadata;
  readonly blobs: BlobStore;
  readonly logger: Logger;
  /** Forgets cached content that has expired. */
  readonly expire?: () => Promise<void>;
  readonly onRun?: CollectorOptions["onRun"];
}

export function openCollector({ settings, ...parts }: CollectorParts): Promise<Collector> {
  return Collector.open({
    ...parts,
    graceMs: parsePeriod(settings.text("gc-grace")),
    uploadAgeMs: parsePeriod(settings.text("upload-age")),
  });
}

/** Opens the blobs: files in ROOT/blobs, or a bucket. @throws {GantryError} */
export async function openBlobs(settings: Resolved): Promise<BlobStore> {
  const bucket = settings.optional("s3");
  if (bucket === undefined) return DiskBlobs.open(settings.optional("blobs") ?? settings.text("root"));
  return S3Blobs.open({
    bucket,
    endpoint: settings.optional("s3-endpoint"),
    region: settings.optional("s3-region"),
    credentialsFile: settings.optional("s3-credentials"),
    redirect: settings.bool("s3-redirect"),
    spoolDirectory: join(settings.text("root"), "spool"),
  });
}
