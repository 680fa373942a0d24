/**
 * Hard links whose target is not there yet: it comes later in the archive, or is in a layer below, from where it is brought
 * up. As late-links.ts for directories.
 */
import * as fs from "node:fs";
import { fsName, GantryError, type TarEntry } from "../../lib/index.ts";
import { walk } from "../inherit.ts";
import { archivePath } from "../tree-path.ts";
import { linkToNothing } from "../tree-refusals.ts";
import { type InheritedSys, xattrsOf } from "./inherited.ts";
import type { LayerTree } from "./layer-tree.ts";
import type { NodeRow } from "./node-table.ts";
import { nameBytes, PathError, tryFindNode } from "./resolve.ts";
import { setArchivedXattr } from "./xattrs.ts";

/** More than this are refused: they are kept in memory until the archive's end. */
const maxLateLinks = 100_000;

/** Where the layers below are readable. */
export interface LayersBelow {
  readonly sys: InheritedSys;
  readonly root: string;
}

type LinkNames = Pick<TarEntry, "path" | "linkPath">;

interface LateLink {
  readonly entry: Pick<TarEntry, "path" | "linkPath" | "mtimeNs">;
  readonly path: readonly string[];
}

export class LateLinks {
  readonly #tree: LayerTree;
  readonly #links: LateLink[] = [];

  constructor(tree: LayerTree) {
    this.#tree = tree;
  }

  add(entry: TarEntry, path: readonly string[]): void {
    if (this.#links.length >= maxLateLinks)
      throw new GantryError("corrupt", `more than ${maxLateLinks} hard links of the archive have no target`);
    this.#links.push({ entry, path });
  }

  /** Makes them, up to the first one whose target is nowhere, which is returned. */
  resolve(below: LayersBelow | undefined): LinkNames | undefined {
    for (const link of this.#links) {
      try {
        if (!this.#resolve(link, below)) return { path: link.entry.path, linkPath: link.entry.linkPath };
      } catch (error) {
        // Links that lead in a circle.
        throw error instanceof PathError ? linkToNothing(link.entry, error) : error;
      }
    }
    return undefined;
  }

  /** False when the target is nowhere. */
  #resolve({ entry, path }: LateLink, below: LayersBelow | undefined): boolean {
    // Something later has taken the name.
    if (tryFindNode(this.#tree.table, path, false) !== undefined) return true;
    const parts = archivePath(entry.linkPath);
    const target = tryFindNode(this.#tree.table, parts, false) ?? this.#bringUp(entry, parts, below);
    if (target === undefined) return false;
    this.#make(entry, path, target);
    return true;
  }

  #make(entry: LinkNames, path: readonly string[], target: NodeRow): void {
    const parent = tryFindNode(this.#tree.table, path.slice(0, -1), true);
    if (parent === undefined) throw linkToNothing(entry);
    this.#tree.link(entry, { parent, name: nameBytes(path.at(-1) ?? "") }, target);
  }

  /** A file of the layers below into this one, with all that it is. */
  #bringUp(
    entry: LateLink["entry"],
    parts: readonly string[],
    below: LayersBelow | undefined,
  ): NodeRow | undefined {
    const dir = below === undefined ? undefined : walk(below.root, parts.slice(0, -1).join("/"));
    const name = parts.at(-1);
    if (below === undefined || dir === undefined || name === undefined) return undefined;
    const from = `${dir}/${name}`;
    const stat = fs.lstatSync(fsName(from), { throwIfNoEntry: false, bigint: true });
    if (stat?.isFile() !== true) return undefined;
    const { table, content } = this.#tree;
    const size = Number(stat.size);
    this.#tree.reserve({ path: entry.linkPath, size });
    const parent = this.#tree.parent(parts.slice(0, -1), entry);
    const { uid, gid, mode, mtimeNs } = stat;
    const inode = table.addInode({ mode: Number(mode), uid: Number(uid), gid: Number(gid), mtimeNs });
    for (const [key, value] of xattrsOf(below.sys, from)) setArchivedXattr(table, inode, key, value);
    content.foreign.push({ inode, size, path: from });
    return table.add(parent, nameBytes(name), inode);
  }
}
