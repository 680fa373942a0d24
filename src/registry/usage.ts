/** How much repositories hold. What several of them share counts once. */
import { matchesPattern } from "./access/pattern.ts";
import type { Sql } from "./sql.ts";

export interface Usage {
  readonly repositories: number;
  readonly tags: number;
  readonly manifests: number;
  readonly blobs: number;
  /** Of blobs and manifests. */
  readonly bytes: number;
}

/** Parameters of one statement: both databases take so many. Beyond it shared blobs of different groups count twice. */
const atOnce = 10_000;

const nothing: Usage = { repositories: 0, tags: 0, manifests: 0, blobs: 0, bytes: 0 };

export async function repositoriesMatching(sql: Sql, pattern: string): Promise<readonly string[]> {
  const plain = !/[*?]/.test(pattern);
  const prefix = /^[^*?]*/.exec(pattern)?.[0] ?? "";
  const rows = plain
    ? await sql.query("SELECT name FROM repository WHERE name = $1", pattern)
    : await sql.query(
        "SELECT name FROM repository WHERE name >= $1 AND name < $2 ORDER BY name",
        prefix,
        `${prefix}\u{10ffff}`,
      );
  return rows.map((row) => String(row["name"])).filter((name) => matchesPattern(pattern, name));
}

/** True when one of the repositories that match a pattern has the blob. */
export async function holdsBlob(sql: Sql, pattern: string, digest: string): Promise<boolean> {
  const rows = await sql.query("SELECT repository FROM repository_blob WHERE digest = $1", digest);
  return rows.some((row) => matchesPattern(pattern, String(row["repository"])));
}

/** Of all repositories that match a pattern together. */
export async function usageOf(sql: Sql, pattern: string): Promise<Usage> {
  const names = await repositoriesMatching(sql, pattern);
  let sum = nothing;
  for (let at = 0; at < names.length; at += atOnce) {
    const part = await usageOfNames(sql, names.slice(at, at + atOnce));
    sum = {
      repositories: sum.repositories + part.repositories,
      tags: sum.tags + part.tags,
      manifests: sum.manifests + part.manifests,
      blobs: sum.blobs + part.blobs,
      bytes: sum.bytes + part.bytes,
    };
  }
  return sum;
}

async function usageOfNames(sql: Sql, names: readonly string[]): Promise<Usage> {
  const list = names.map((_, i) => `$${i + 1}`).join(", ");
  const one = async (text: string): Promise<readonly [number, number]> => {
    const [row] = await sql.query(text, ...names);
    return [Number(row?.["n"] ?? 0), Number(row?.["bytes"] ?? 0)];
  };
  const [tags] = await one(`SELECT count(*) AS n FROM tag WHERE repository IN (${list})`);
  const [manifests, manifestBytes] = await one(
    `SELECT count(*) AS n, sum(size) AS bytes FROM manifest WHERE repository IN (${list})`,
  );
  const [blobs, blobBytes] = await one(
    `SELECT count(*) AS n, sum(size) AS bytes FROM blob WHERE digest IN
      (SELECT digest FROM repository_blob WHERE repository IN (${list}))`,
  );
  return { repositories: names.length, tags, manifests, blobs, bytes: manifestBytes + blobBytes };
}
