/**
 * Hard links whose target is not there yet: it comes later in the archive, or lies in a layer below, where the link was made
 * to by a tool that saw all layers as one tree. The latter is brought up first, with all that it is, as overlayfs does.
 */
import * as fs from "node:fs";
import { fsName, GantryError, isErrno, type TarEntry, tryStat } from "../lib/index.ts";
import { copyAttributes, type InheritSys, walk } from "./inherit.ts";
import { archivePath } from "./tree-path.ts";
import { linkToNothing } from "./tree-refusals.ts";

/** More than this are refused: they are kept in memory until the archive's end. */
const maxLateLinks = 100_000;

interface LateLink {
  readonly entry: TarEntry;
  readonly path: string;
}

export interface LinkPlace {
  readonly sys: InheritSys;
  /** Where the layers below are readable; undefined where there are none. */
  readonly below: string | undefined;
  /** The path of a target in the tree. */
  readonly pathOf: (parts: readonly string[]) => string;
  /** Makes the directories that the target needs. @param bytes that it will have */
  readonly prepare: (parts: readonly string[], bytes: number) => void;
}

export class LateLinks {
  readonly #links: LateLink[] = [];

  add(entry: TarEntry, path: string): void {
    if (this.#links.length >= maxLateLinks)
      throw new GantryError("corrupt", `more than ${maxLateLinks} hard links of the archive have no target`);
    this.#links.push({ entry, path });
  }

  /** Makes all that are left. @throws {GantryError} "corrupt" when a target is nowhere */
  finish(place: LinkPlace): void {
    for (const { entry, path } of this.#links) {
      // Something later has taken the name.
      if (tryStat(path) !== undefined) continue;
      const parts = archivePath(entry.linkPath);
      try {
        const target = place.pathOf(parts);
        if (tryStat(target) === undefined) bringUp(place, parts);
        fs.linkSync(fsName(target), fsName(path));
      } catch (error) {
        throw linkError(entry, error);
      }
    }
    this.#links.length = 0;
  }
}

/** A file of the layers below into this one; nothing when it is not there either. */
function bringUp({ sys, below, pathOf, prepare }: LinkPlace, parts: readonly string[]): void {
  const dir = below === undefined ? undefined : walk(below, parts.slice(0, -1).join("/"));
  if (dir === undefined || parts.length === 0) return;
  const from = `${dir}/${parts.at(-1)}`;
  const stat = fs.lstatSync(fsName(from), { throwIfNoEntry: false });
  if (stat?.isFile() !== true) return;
  prepare(parts.slice(0, -1), stat.size);
  const to = pathOf(parts);
  fs.copyFileSync(fsName(from), fsName(to), fs.constants.COPYFILE_EXCL);
  copyAttributes(sys, from, to);
}

/** The error of linking, in words about the archive where it is the archive's. */
export function linkError(entry: TarEntry, error: unknown): unknown {
  if (!isErrno(error, "ENOENT", "EPERM", "ENOTDIR", "ELOOP", "EXDEV")) return error;
  return linkToNothing(entry, error);
}
