/** Wildcards in the sources of COPY and ADD (Go's filepath.Match). */
import { GantryError } from "../../lib/index.ts";
import { compileGlob, type Glob, matchGlob } from "../glob.ts";
import { Pauses } from "../pauses.ts";
import type { TreeView } from "./tree-view.ts";

/** Most files that one pattern may match. */
const maxMatches = 100_000;

/** True when the word has a wildcard outside of an escape. */
export function hasWildcards(path: string): boolean {
  return /^(?:[^\\*?[]|\\[\s\S])*[*?[]/.test(path);
}

function compile(pattern: string): Glob {
  const glob =
    pattern.length > 4096
      ? undefined
      : compileGlob(pattern, { separator: "/", doubleStar: false, classes: true });
  if (glob === undefined)
    throw new GantryError("invalid", `syntax error in pattern ${JSON.stringify(pattern.slice(0, 100))}`);
  return glob;
}

/**
 * The paths that `pattern` (relative, cleaned) matches, sorted. Links on the way of a wildcard are not followed.
 * @throws {GantryError} "invalid" for a malformed pattern, "exhausted" for too many matches
 */
export async function matchSources(
  view: TreeView,
  pattern: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const parts = pattern.split("/");
  const fixed = parts.findIndex((part) => hasWildcards(part) || part.includes("\\"));
  const folder = parts.slice(0, fixed).join("/");
  const rest = parts.slice(fixed);
  const glob = compile(rest.join("/"));
  const pauses = new Pauses(signal);
  const matches: string[] = [];
  for (const { path } of await view.below(`/${folder}`, rest.length > 1)) {
    await pauses.point();
    if (path.split("/").length !== rest.length || !matchGlob(glob, path)) continue;
    if (matches.push(folder === "" ? path : `${folder}/${path}`) > maxMatches)
      throw new GantryError("exhausted", `${pattern} matches more than ${maxMatches} files`);
  }
  return matches;
}
