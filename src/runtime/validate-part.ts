/** A part of a config that is checked alone, and what all checks end with. Pure. */
import { GantryError } from "../lib/index.ts";
import { Checked, type Finding, type Rule } from "./config-checks.ts";

/**
 * The value, once it is known to be one.
 * @param path is put before what findings name
 * @throws {GantryError} "invalid"
 */
export function validatePart(value: unknown, path: string, rule: Rule): unknown {
  const findings: Finding[] = [];
  rule(new Checked(value, path, findings));
  if (findings.length > 0) throw invalid(path === "" ? "it" : path, findings);
  return withoutNulls(value);
}

/** Go programs write `null` for what is not set: left out, so that a field is either there or missing. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutNulls(inner)]));
}

/** One line a finding. */
export function invalid(what: string, findings: readonly Finding[]): GantryError {
  const lines = findings.map(({ path, problem }) => (path === "" ? problem : `${path}: ${problem}`));
  const message =
    lines.length === 1 ? (lines[0] ?? "") : `${what} has ${lines.length} errors:\n  ${lines.join("\n  ")}`;
  return new GantryError("invalid", message, {
    fields: { findings: findings.length, path: findings[0]?.path ?? "" },
  });
}
