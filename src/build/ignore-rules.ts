/** .dockerignore (Dockerfile reference, ".dockerignore file"): which paths of a build context are left out. Pure. */
import { GantryError } from "../lib/index.ts";
import { compileGlob, type Glob, matchGlob } from "./glob.ts";

interface Rule {
  readonly glob: Glob;
  /** `!`: takes back what an earlier rule left out. */
  readonly keeps: boolean;
}

/** As Go's filepath.Clean, with the slashes at both ends removed. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

export class IgnoreRules {
  readonly #rules: readonly Rule[];

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** True when `path` (relative, no slash at either end) is left out: it or a folder above it matches, the last rule counts. */
  ignores(path: string): boolean {
    const parts = path.split("/");
    const prefixes = parts.map((_, i) => parts.slice(0, i + 1).join("/"));
    let ignored = false;
    for (const rule of this.#rules) {
      if (rule.keeps === ignored && prefixes.some((prefix) => matchGlob(rule.glob, prefix)))
        ignored = !rule.keeps;
    }
    return ignored;
  }
}

const maxRules = 10_000;
const maxPattern = 4096;

/** @throws {GantryError} "invalid" with the line of a pattern that cannot be read */
export function parseIgnoreRules(text: string, file = ".dockerignore"): IgnoreRules {
  const rules: Rule[] = [];
  const problem = (line: number, why: string): GantryError =>
    new GantryError("invalid", `${file}, line ${line}: ${why}`, { fields: { line } });
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    if (raw.startsWith("#")) continue;
    const line = raw.trim();
    const keeps = line.startsWith("!");
    const pattern = (keeps ? line.slice(1) : line).trim();
    if (pattern === "" && keeps) throw problem(index + 1, 'illegal exclusion pattern: "!"');
    const clean = cleanPath(pattern);
    if (clean === "") continue;
    const glob =
      clean.length > maxPattern
        ? undefined
        : compileGlob(clean, { separator: "/", doubleStar: true, classes: true });
    if (glob === undefined)
      throw problem(index + 1, `syntax error in pattern ${JSON.stringify(clean.slice(0, 100))}`);
    if (rules.push({ glob, keeps }) > maxRules) throw problem(index + 1, `more than ${maxRules} patterns`);
  }
  return new IgnoreRules(rules);
}
