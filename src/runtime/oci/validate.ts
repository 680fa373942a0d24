/** `gantry-oci validate`: every finding, one a line. */
import { GantryError } from "../../lib/index.ts";
import type { Finding } from "../config-checks.ts";
import { findConfigProblems } from "../validate-config.ts";
import { parseConfig } from "./bundle.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";
import { jsonText } from "./json-text.ts";
import { resolvePath } from "./paths.ts";

/** Exit code 0: valid; 1: it has findings, which are on stdout. */
export function validate({ flags }: VerbInput): number {
  expectWords("validate", flags, 0);
  const format = flags.text("format") ?? "text";
  if (format !== "text" && format !== "json")
    throw new GantryError("invalid", "invalid format option", {
      hint: "use --format text or --format json",
    });
  const findings = findConfigProblems(parseConfig(resolvePath(flags.text("bundle") ?? ".")));
  print(format === "json" ? findingsJson(findings) : findingsText(findings));
  return findings.length === 0 ? 0 : 1;
}

export function findingsText(findings: readonly Finding[]): string {
  return findings.map(({ path, problem }) => `${path}: ${problem}\n`).join("");
}

export function findingsJson(findings: readonly Finding[]): string {
  return `${jsonText({
    valid: findings.length === 0,
    findings: findings.map(({ path, problem }) => ({ path, problem })),
  })}\n`;
}
