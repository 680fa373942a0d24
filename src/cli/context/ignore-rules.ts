/** .dockerignore: which paths of a build context stay at home. Pure. */
import { CliError } from "../errors.ts";

interface Rule {
  readonly pattern: RegExp;
  /** `!`: takes back what an earlier rule left out. */
  readonly keeps: boolean;
  /** The fixed beginning of the pattern: what can match below a folder can be told from it. */
  readonly prefix: string;
}

export class IgnoreRules {
  readonly #rules: readonly Rule[];

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  /** True when `path` (relative, without a slash at either end) is left out: it or a folder above it matches, the last rule counts. */
  ignores(path: string): boolean {
    const parts = path.split("/");
    const paths = parts.map((_, i) => parts.slice(0, i + 1).join("/"));
    let ignored = false;
    for (const rule of this.#rules) {
      if (rule.keeps === ignored && paths.some((one) => rule.pattern.test(one))) ignored = !rule.keeps;
    }
    return ignored;
  }

  /** True when nothing below the folder `path`, itself left out, can be taken back in: it need not be read. */
  skips(path: string): boolean {
    return !this.#rules.some(
      (rule) =>
        rule.keeps && (`${rule.prefix}/`.startsWith(`${path}/`) || `${path}/`.startsWith(rule.prefix)),
    );
  }
}

/** @param always paths that are kept whatever the file says. @throws {CliError} for a pattern that cannot be read */
export function parseIgnoreRules(text: string, always: readonly string[]): IgnoreRules {
  const rules: Rule[] = [];
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  for (const [index, raw] of lines.entries()) {
    if (raw.startsWith("#")) continue;
    const line = raw.trim();
    const keeps = line.startsWith("!");
    const pattern = cleanPath((keeps ? line.slice(1) : line).trim());
    if (pattern === "") {
      if (keeps) throw new CliError(`illegal exclusion pattern "!" in .dockerignore, line ${index + 1}`);
      continue;
    }
    rules.push({
      pattern: toRegExp(pattern, index + 1),
      keeps,
      prefix: /^[^*?[\\]*/.exec(pattern)?.[0] ?? "",
    });
  }
  for (const path of always)
    rules.push({ pattern: toRegExp(escapePattern(path), 0), keeps: true, prefix: path });
  return new IgnoreRules(rules);
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

const escapePattern = (path: string): string => path.replaceAll(/[*?[\\]/g, String.raw`\$&`);

/** Go's filepath.Match with `**` for any number of folders. */
function toRegExp(pattern: string, line: number): RegExp {
  let source = "";
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern.charAt(i);
    if (char === "*" && pattern[i + 1] === "*") {
      const slash = pattern[i + 2] === "/";
      source += slash ? "(?:.*/)?" : ".*";
      i += slash ? 2 : 1;
      while (pattern.startsWith("**/", i + 1)) i += 3;
    } else if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "[") {
      const end = pattern.indexOf("]", i + 2);
      if (end < 0)
        throw new CliError(
          `syntax error in pattern ${JSON.stringify(pattern)} in .dockerignore, line ${line}`,
        );
      source += `[${pattern
        .slice(i + 1, end)
        .replaceAll("\\", "\\\\")
        .replaceAll("[", "\\[")}]`;
      i = end;
    } else if (char === "\\" && i + 1 < pattern.length)
      source += pattern.charAt(++i).replaceAll(/[^\w]/g, String.raw`\$&`);
    else source += char.replaceAll(/[.+^$(){}|\\/\]-]/g, String.raw`\$&`);
  }
  return new RegExp(`^${source}$`, "s");
}
