/** `gantry-oci validate`: every finding, one a line. */
import { resolve } from "node:path";
import { findConfigProblems } from "../validate-config.ts";
import { parseConfig } from "./bundle.ts";
import { print, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";

export async function validate({ flags }: VerbInput): Promise<number> {
  expectWords("validate", flags, 0);
  const bundle = resolve(flags.text("bundle") ?? ".");
  const findings = findConfigProblems(parseConfig(bundle));
  await print(findings.map(({ path, problem }) => `${path}: ${problem}\n`).join(""));
  return findings.length === 0 ? 0 : 1;
}
