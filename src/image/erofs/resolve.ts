/** Looks up paths in a tree in memory as the kernel does below a root: links are followed, and none leads out. */
import { decodeName, encodeName } from "../../lib/index.ts";
import { maxHops } from "../tree-refusals.ts";
import { maxNameBytes, modeTypes, typeMask } from "./format.ts";
import type { NodeRow, NodeTable } from "./node-table.ts";

const words = {
  ENAMETOOLONG: "file name too long",
  ELOOP: "too many symbolic links encountered",
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
} as const;

/** What the kernel would say of a path. */
export class PathError extends Error {
  readonly code: keyof typeof words;

  constructor(code: keyof typeof words, path: string) {
    super(`${code}: ${words[code]}: ${path.slice(0, 200)}`);
    this.code = code;
    this.name = "PathError";
  }
}

/** One part of a path. @throws {PathError} ENAMETOOLONG */
export function nameBytes(name: string): Buffer {
  const bytes = encodeName(name);
  if (bytes.length > maxNameBytes) throw new PathError("ENAMETOOLONG", name);
  return bytes;
}

/**
 * @param follow the last part, too, if it is a link
 * @returns undefined when there is nothing, also where a file is in the place of a directory; @throws {PathError} ELOOP
 */
export function tryFindNode(
  table: NodeTable,
  parts: readonly string[],
  follow: boolean,
): NodeRow | undefined {
  try {
    return findNode(table, parts, follow);
  } catch (error) {
    if (error instanceof PathError && error.code === "ENOTDIR") return undefined;
    throw error;
  }
}

/**
 * @param follow the last part, too, if it is a link
 * @returns undefined when there is nothing; @throws {PathError} ELOOP, ENOTDIR
 */
export function findNode(table: NodeTable, parts: readonly string[], follow: boolean): NodeRow | undefined {
  /** What is still to be walked, the next part last. */
  const left = [...parts].reverse();
  let at = table.root;
  let hops = 0;
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    if (part === "" || part === ".") continue;
    if ((table.mode(table.inode(at)) & typeMask) !== modeTypes.dir)
      throw new PathError("ENOTDIR", parts.join("/"));
    if (part === "..") {
      at = table.parent(at);
      continue;
    }
    const child = table.child(at, encodeName(part));
    if (child === undefined) return undefined;
    const inode = table.inode(child);
    if ((table.mode(inode) & typeMask) !== modeTypes.symlink || (left.length === 0 && !follow)) {
      at = child;
      continue;
    }
    if (++hops > maxHops) throw new PathError("ELOOP", parts.join("/"));
    const target = decodeName(table.target(inode));
    if (target.startsWith("/")) at = table.root;
    left.push(...target.split("/").reverse());
  }
  return at;
}
