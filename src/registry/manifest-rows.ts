/** A manifest and what it points to as rows, written within a transaction. */
import type { RawManifest } from "../image/index.ts";
import type { Digest } from "../lib/index.ts";
import type { Sql } from "./sql.ts";

export interface NewManifest {
  readonly repository: string;
  readonly manifest: RawManifest;
  readonly tags: readonly string[];
  /** Blobs it names and needs. */
  readonly blobs: readonly Digest[];
  /** Blobs it names that need not be here. */
  readonly foreignBlobs: readonly Digest[];
  /** Manifests it names. */
  readonly manifests: readonly Digest[];
  readonly totalBytes: number;
  readonly subject?: Digest | undefined;
  /** As the list of referrers shows it. */
  readonly artifactType?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** Digests in one statement. */
const atOnce = 50;

/** What a manifest needs and its repository does not have; what it has is kept from removal for a while. */
export async function missingChildren(
  sql: Sql,
  { repository, blobs, manifests }: NewManifest,
  nowMs: number,
  mayMiss: boolean,
): Promise<readonly Digest[]> {
  const present = new Set<string>();
  for (const some of chunks(blobs)) {
    const rows = await sql.query(
      `UPDATE repository_blob SET touched_ms = $2 WHERE repository = $1 AND digest IN (${places(3, some.length)})
       RETURNING digest`,
      repository,
      nowMs,
      ...some,
    );
    for (const row of rows) present.add(String(row["digest"]));
  }
  for (const some of mayMiss ? [] : chunks(manifests)) {
    const rows = await sql.query(
      `SELECT digest FROM manifest WHERE repository = $1 AND digest IN (${places(2, some.length)})`,
      repository,
      ...some,
    );
    for (const row of rows) present.add(String(row["digest"]));
  }
  return mayMiss ? [] : [...blobs, ...manifests].filter((digest) => !present.has(digest));
}

/** Read only, and of nothing but one repository. */
export async function unlinkedBlobs(
  sql: Sql,
  repository: string,
  digests: readonly Digest[],
): Promise<ReadonlySet<Digest>> {
  const unlinked = new Set<string>(digests);
  for (const some of chunks(digests)) {
    const rows = await sql.query(
      `SELECT digest FROM repository_blob WHERE repository = $1 AND digest IN (${places(2, some.length)})`,
      repository,
      ...some,
    );
    for (const row of rows) unlinked.delete(String(row["digest"]));
  }
  return new Set(digests.filter((digest) => unlinked.has(digest)));
}

export async function insertManifest(sql: Sql, pushed: NewManifest, nowMs: number): Promise<void> {
  const { repository, manifest } = pushed;
  await sql.query("INSERT INTO repository VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", repository, nowMs);
  await sql.query(
    `INSERT INTO manifest VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0) ON CONFLICT (repository, digest)
     DO UPDATE SET media_type = excluded.media_type, pushed_ms = excluded.pushed_ms`,
    repository,
    manifest.digest,
    manifest.mediaType,
    manifest.bytes,
    manifest.bytes.length,
    pushed.totalBytes,
    pushed.subject ?? null,
    pushed.artifactType ?? null,
    pushed.annotations === undefined ? null : JSON.stringify(pushed.annotations),
    nowMs,
  );
  const children = [
    ...new Set([...pushed.blobs, ...pushed.foreignBlobs]).values().map((digest) => [digest, "blob"] as const),
    ...new Set(pushed.manifests).values().map((digest) => [digest, "manifest"] as const),
  ];
  for (const some of chunks(children)) {
    const rows = some.map((_, i) => `($1, $2, $${3 + 2 * i}, $${4 + 2 * i})`).join(", ");
    await sql.query(
      `INSERT INTO manifest_reference VALUES ${rows} ON CONFLICT DO NOTHING`,
      repository,
      manifest.digest,
      ...some.flat(),
    );
  }
  for (const tag of pushed.tags)
    await sql.query(
      `INSERT INTO tag VALUES ($1, $2, $3, $4)
       ON CONFLICT (repository, name) DO UPDATE SET digest = excluded.digest, updated_ms = excluded.updated_ms`,
      repository,
      tag,
      manifest.digest,
      nowMs,
    );
}

function chunks<T>(items: readonly T[]): readonly (readonly T[])[] {
  const all: T[][] = [];
  for (let at = 0; at < items.length; at += atOnce) all.push(items.slice(at, at + atOnce));
  return all;
}

/** `$3, $4, $5` */
function places(from: number, count: number): string {
  return Array.from({ length: count }, (_, i) => `$${from + i}`).join(", ");
}
