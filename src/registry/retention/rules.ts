/** Retention rules and immutable tags, in SQL. */
import { GantryError } from "../../lib/index.ts";
import { checkPattern, matchesPattern } from "../access/pattern.ts";
import type { Sql } from "../sql.ts";
import type { RetentionRule } from "./plan.ts";

export async function listRetentionRules(sql: Sql): Promise<readonly RetentionRule[]> {
  const rows = await sql.query("SELECT name, rule FROM retention_rule ORDER BY name");
  return rows.map((row) => ruleOf(String(row["name"]), JSON.parse(String(row["rule"]))));
}

/** @throws {GantryError} "invalid" */
export async function setRetentionRule(sql: Sql, rule: RetentionRule): Promise<void> {
  const { name, ...rest } = rule;
  if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(name))
    throw new GantryError("invalid", `${JSON.stringify(name)} is no name of a rule`);
  checkPattern(rule.repositories, "repositories");
  checkPattern(rule.tags, "tags");
  if (
    rule.keepNewest === undefined &&
    rule.olderThanMs === undefined &&
    rule.untaggedOlderThanMs === undefined
  )
    throw new GantryError("invalid", `rule ${name} would delete nothing`, {
      hint: "give it --keep-newest, --older-than or --untagged-older-than",
    });
  await sql.query(
    "INSERT INTO retention_rule VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET rule = excluded.rule",
    name,
    JSON.stringify(rest),
  );
}

/** @throws {GantryError} "not-found" */
export async function removeRetentionRule(sql: Sql, name: string): Promise<void> {
  const rows = await sql.query("DELETE FROM retention_rule WHERE name = $1 RETURNING name", name);
  if (rows.length === 0)
    throw new GantryError("not-found", `there is no retention rule ${JSON.stringify(name)}`);
}

function ruleOf(name: string, value: unknown): RetentionRule {
  const record: Readonly<Record<string, unknown>> =
    typeof value === "object" && value !== null ? { ...value } : {};
  const number = (key: string): number | undefined => {
    const found = record[key];
    return typeof found === "number" ? found : undefined;
  };
  return {
    name,
    repositories: String(record["repositories"]),
    tags: String(record["tags"]),
    keepNewest: number("keepNewest"),
    olderThanMs: number("olderThanMs"),
    pulledWithinMs: number("pulledWithinMs"),
    untaggedOlderThanMs: number("untaggedOlderThanMs"),
  };
}

export interface ImmutableRule {
  readonly repositories: string;
  readonly tags: string;
}

export async function listImmutableRules(sql: Sql): Promise<readonly ImmutableRule[]> {
  const rows = await sql.query("SELECT repositories, tags FROM immutable_tag ORDER BY repositories, tags");
  return rows.map((row) => ({ repositories: String(row["repositories"]), tags: String(row["tags"]) }));
}

export async function addImmutableRule(sql: Sql, rule: ImmutableRule): Promise<void> {
  checkPattern(rule.repositories, "repositories");
  checkPattern(rule.tags, "tags");
  await sql.query(
    "INSERT INTO immutable_tag VALUES ($1, $2) ON CONFLICT (repositories, tags) DO NOTHING",
    rule.repositories,
    rule.tags,
  );
}

/** @throws {GantryError} "not-found" */
export async function removeImmutableRule(sql: Sql, rule: ImmutableRule): Promise<void> {
  const rows = await sql.query(
    "DELETE FROM immutable_tag WHERE repositories = $1 AND tags = $2 RETURNING tags",
    rule.repositories,
    rule.tags,
  );
  if (rows.length === 0)
    throw new GantryError("not-found", `there is no such rule: ${rule.repositories}:${rule.tags}`);
}

export function isImmutable(rules: readonly ImmutableRule[], repository: string, tag: string): boolean {
  return rules.some(
    (rule) => matchesPattern(rule.repositories, repository) && matchesPattern(rule.tags, tag),
  );
}
