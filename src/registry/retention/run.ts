/** Reads what there is, decides by the rules, deletes. */
import type { Digest } from "../../lib/index.ts";
import { parseDigest } from "../../lib/index.ts";
import type { Metadata } from "../metadata.ts";
import type { Sql, SqlRow } from "../sql.ts";
import { repositoriesMatching } from "../usage.ts";
import { type Decision, planRetention, type RepositoryState } from "./plan.ts";
import { isImmutable, listImmutableRules, listRetentionRules } from "./rules.ts";

export async function decideRetention(sql: Sql, nowMs: number): Promise<readonly Decision[]> {
  const rules = await listRetentionRules(sql);
  const immutable = await listImmutableRules(sql);
  const names = new Set<string>();
  for (const { repositories } of rules)
    for (const name of await repositoriesMatching(sql, repositories)) names.add(name);
  const decisions: Decision[] = [];
  for (const name of [...names].toSorted()) {
    const state = await readRepository(sql, name);
    decisions.push(
      ...planRetention(rules, state, nowMs, (repository, tag) => isImmutable(immutable, repository, tag)),
    );
  }
  return decisions;
}

/** Does what was decided. A tag that has moved meanwhile is left alone: it was pushed just now. */
export async function applyRetention(
  metadata: Metadata,
  decisions: readonly Decision[],
  decidedMs: number,
): Promise<void> {
  for (const { action, kind, repository, reference } of decisions) {
    if (action === "keep") continue;
    if (kind === "manifest") await metadata.deleteManifest(repository, parseDigest(reference));
    else {
      await metadata.sql.transaction((tx) =>
        tx.query(
          "DELETE FROM tag WHERE repository = $1 AND name = $2 AND updated_ms <= $3",
          repository,
          reference,
          decidedMs,
        ),
      );
    }
  }
}

async function readRepository(sql: Sql, name: string): Promise<RepositoryState> {
  const tags = await sql.query("SELECT name, digest, updated_ms FROM tag WHERE repository = $1", name);
  const manifests = await sql.query(
    "SELECT digest, subject, pushed_ms, pulled_ms FROM manifest WHERE repository = $1",
    name,
  );
  const children = new Map<string, Digest[]>();
  for (const row of await sql.query(
    "SELECT manifest, child FROM manifest_reference WHERE repository = $1 AND kind = 'manifest'",
    name,
  )) {
    const parent = String(row["manifest"]);
    children.set(parent, [...(children.get(parent) ?? []), digestOf(row, "child")]);
  }
  return {
    name,
    tags: tags.map((row) => ({
      tag: String(row["name"]),
      digest: digestOf(row, "digest"),
      updatedMs: Number(row["updated_ms"]),
    })),
    manifests: manifests.map((row) => ({
      digest: digestOf(row, "digest"),
      pushedMs: Number(row["pushed_ms"]),
      pulledMs: Number(row["pulled_ms"]) > 0 ? Number(row["pulled_ms"]) : undefined,
      children: children.get(String(row["digest"])) ?? [],
      subject: typeof row["subject"] === "string" ? digestOf(row, "subject") : undefined,
    })),
  };
}

const digestOf = (row: SqlRow, column: string): Digest => parseDigest(String(row[column]));
