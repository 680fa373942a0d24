/** Quotas of repositories: bytes, manifests and tags of all that a pattern matches together. */
import { GantryError } from "../../lib/index.ts";
import { checkPattern, matchesPattern } from "../access/pattern.ts";
import { Cached } from "../cached.ts";
import { RegistryError } from "../errors.ts";
import type { Sql } from "../sql.ts";
import type { Digest } from "../../lib/index.ts";
import type { CommitStep, Guard, ManifestPush, RequestContext } from "../types.ts";
import { holdsBlob, usageOf } from "../usage.ts";

export interface Quota {
  readonly pattern: string;
  readonly maxBytes: number | undefined;
  readonly maxManifests: number | undefined;
  readonly maxTags: number | undefined;
}

/** @throws {GantryError} "invalid" */
export async function setQuota(sql: Sql, quota: Quota): Promise<void> {
  checkPattern(quota.pattern, "repositories");
  const limits = [quota.maxBytes, quota.maxManifests, quota.maxTags];
  if (limits.every((limit) => limit === undefined))
    throw new GantryError("invalid", `the quota of ${quota.pattern} bounds nothing`, {
      hint: "give it --size, --manifests or --tags",
    });
  if (limits.some((limit) => limit !== undefined && limit < 0))
    throw new GantryError("invalid", "a quota is not negative");
  await sql.query(
    `INSERT INTO quota VALUES ($1, $2, $3, $4) ON CONFLICT (pattern) DO UPDATE SET max_bytes = excluded.max_bytes,
      max_manifests = excluded.max_manifests, max_tags = excluded.max_tags`,
    quota.pattern,
    ...limits.map((limit) => limit ?? null),
  );
}

export async function listQuotas(sql: Sql): Promise<readonly Quota[]> {
  const rows = await sql.query("SELECT * FROM quota ORDER BY pattern");
  return rows.map((row) => ({
    pattern: String(row["pattern"]),
    maxBytes: limit(row["max_bytes"]),
    maxManifests: limit(row["max_manifests"]),
    maxTags: limit(row["max_tags"]),
  }));
}

/** @throws {GantryError} "not-found" */
export async function removeQuota(sql: Sql, pattern: string): Promise<void> {
  const rows = await sql.query("DELETE FROM quota WHERE pattern = $1 RETURNING pattern", pattern);
  if (rows.length === 0)
    throw new GantryError("not-found", `there is no quota of ${JSON.stringify(pattern)}`);
}

const limit = (value: unknown): number | undefined =>
  value === null || value === undefined ? undefined : Number(value);

const cacheMs = 2000;

/** Asked before the bytes come, and again inside the transaction that counts them: pushes at one moment share what is left. */
export class QuotaGuard implements Guard {
  readonly #sql: Sql;
  readonly #quotas: Cached<readonly Quota[]>;

  constructor(sql: Sql, now: () => number = Date.now) {
    this.#sql = sql;
    this.#quotas = new Cached(cacheMs, () => listQuotas(sql), now);
  }

  async upload(_context: RequestContext, repository: string, bytes: number | undefined): Promise<void> {
    for (const quota of await this.#of(repository)) {
      if (quota.maxBytes === undefined) continue;
      const usage = await usageOf(this.#sql, quota.pattern);
      refuseBeyond(quota, { what: "bytes", used: usage.bytes, more: bytes ?? 1, limit: quota.maxBytes });
    }
  }

  async linkBlob(
    _context: RequestContext,
    repository: string,
    digest: Digest,
    bytes: number,
  ): Promise<CommitStep | undefined> {
    const quotas = await this.#of(repository);
    if (!quotas.some(({ maxBytes }) => maxBytes !== undefined)) return undefined;
    return async (tx) => {
      for (const quota of quotas) {
        if (quota.maxBytes === undefined || (await holdsBlob(tx, quota.pattern, digest))) continue;
        const usage = await usageOf(tx, quota.pattern);
        refuseBeyond(quota, { what: "bytes", used: usage.bytes, more: bytes, limit: quota.maxBytes });
      }
    };
  }

  /** Its blobs are in the repository by now and counted. */
  async putManifest(_context: RequestContext, push: ManifestPush): Promise<CommitStep | undefined> {
    const quotas = await this.#of(push.repository);
    if (quotas.length === 0) return undefined;
    const check: CommitStep = (sql) => checkManifest(sql, quotas, push);
    await check(this.#sql);
    return check;
  }

  async #of(repository: string): Promise<readonly Quota[]> {
    return (await this.#quotas.get()).filter(({ pattern }) => matchesPattern(pattern, repository));
  }
}

async function checkManifest(sql: Sql, quotas: readonly Quota[], push: ManifestPush): Promise<void> {
  const news = await newsOf(sql, push);
  for (const quota of quotas) {
    const usage = await usageOf(sql, quota.pattern);
    refuseBeyond(quota, { what: "bytes", used: usage.bytes, more: news.bytes, limit: quota.maxBytes });
    refuseBeyond(quota, {
      what: "manifests",
      used: usage.manifests,
      more: news.manifests,
      limit: quota.maxManifests,
    });
    refuseBeyond(quota, { what: "tags", used: usage.tags, more: news.tags, limit: quota.maxTags });
  }
}

/** What a push adds to what is there. */
async function newsOf(
  sql: Sql,
  { repository, manifest, tags }: ManifestPush,
): Promise<Readonly<Record<"bytes" | "manifests" | "tags", number>>> {
  const known = await sql.query(
    "SELECT 1 AS one FROM manifest WHERE repository = $1 AND digest = $2",
    repository,
    manifest.digest,
  );
  let fresh = 0;
  for (const tag of tags) {
    const rows = await sql.query(
      "SELECT 1 AS one FROM tag WHERE repository = $1 AND name = $2",
      repository,
      tag,
    );
    if (rows.length === 0) fresh++;
  }
  const isNew = known.length === 0;
  return { bytes: isNew ? manifest.bytes.length : 0, manifests: isNew ? 1 : 0, tags: fresh };
}

interface Wish {
  readonly what: string;
  readonly used: number;
  readonly more: number;
  readonly limit: number | undefined;
}

/** @throws {RegistryError} "DENIED" with the figures */
function refuseBeyond({ pattern }: Quota, { what, used, more, limit: most }: Wish): void {
  if (most === undefined || more === 0 || used + more <= most) return;
  throw new RegistryError(
    "DENIED",
    `quota exceeded: ${pattern} may hold ${most} ${what}, holds ${used}, and this brings ${more}`,
    { detail: { quota: pattern, what, limit: most, used, requested: more } },
  );
}
