/** Looks up paths in a tree in memory as the kernel does below a root: links are followed, and none leads out. */
import { maxHops } from "../tree-refusals.ts";
import { modeTypes, typeMask } from "./format.ts";
import type { NodeRow, NodeTable } from "./node-table.ts";

const words = {
  ENAMETOOLONG: "file name too long",
  ELOOP: "too many symbolic links encountered",
  ENOENT: "no such file or directory",
} as const;

/** What the kernel would say of a path. */
export class PathError extends Error {
  constructor(code: keyof typeof words, path: string) {
    super(`${code}: ${words[code]}: ${path.slice(0, 200)}`);
    this.name = "PathError";
  }
}

/**
 * @param follow the last part, too, if it is a link
 * @throws {PathError} ELOOP
 */
export function findNode(table: NodeTable, parts: readonly string[], follow: boolean): NodeRow | undefined {
  /** What is still to be walked, the next part last. */
  const left = [...parts].reverse();
  let at = table.root;
  let hops = 0;
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    if (part === "" || part === ".") continue;
    if ((table.mode(table.inode(at)) & typeMask) !== modeTypes.dir) return undefined;
    if (part === "..") {
      at = table.parent(at);
      continue;
    }
    const child = table.child(at, Buffer.from(part));
    if (child === undefined) return undefined;
    const inode = table.inode(child);
    if ((table.mode(inode) & typeMask) !== modeTypes.symlink || (left.length === 0 && !follow)) {
      at = child;
      continue;
    }
    if (++hops > maxHops) throw new PathError("ELOOP", parts.join("/"));
    const target = table.target(inode).toString();
    if (target.startsWith("/")) at = table.root;
    left.push(...target.split("/").reverse());
  }
  return at;
}
