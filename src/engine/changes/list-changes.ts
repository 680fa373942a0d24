/** What a container has changed on its image: its upper directory held against the layers below (`docker diff`). */
import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  type Stats,
} from "node:fs";
import type { Sys } from "../../kernel/index.ts";
import { GantryError, isErrno } from "../../lib/index.ts";

export type ChangeKind = "modified" | "added" | "deleted";

export interface Change {
  /** Absolute, in the container. */
  readonly path: string;
  readonly kind: ChangeKind;
}

export interface ChangesRequest {
  readonly upper: string;
  /** Layer directories, top first. */
  readonly lowers: readonly string[];
  /** Paths without leading slash that say nothing while they are empty: targets of the engine's own mounts. */
  readonly stubs: ReadonlySet<string>;
}

const mostChanges = 1_000_000;
const opaque = "trusted.overlay.opaque";

type ChangesSys = Pick<Sys, "getXattr">;

/**
 * In the order of their names, directories before what is in them.
 * @throws {GantryError} "exhausted" for more than a million changes
 */
export function listChanges(sys: ChangesSys, request: ChangesRequest): readonly Change[] {
  const changes: Change[] = [];
  const root = openDirectory(request.upper);
  if (root === undefined) return changes;
  try {
    const walker = new Walker(sys, request.stubs, changes);
    walker.walk(
      root,
      "",
      request.lowers.filter((lower) => isDirectory(tryLstat(lower))),
    );
  } finally {
    closeSync(root);
  }
  return changes;
}

/** Goes down by descriptors: a container that swaps a directory for a link leads nowhere. */
class Walker {
  readonly #sys: ChangesSys;
  readonly #stubs: ReadonlySet<string>;
  readonly #changes: Change[];

  constructor(sys: ChangesSys, stubs: ReadonlySet<string>, changes: Change[]) {
    this.#sys = sys;
    this.#stubs = stubs;
    this.#changes = changes;
  }

  /** @param lowers the directories of this path in the layers below, as far as they show through */
  walk(directory: number, path: string, lowers: readonly string[]): void {
    for (const entry of entriesOf(directory)) {
      const below = path === "" ? entry.name : `${path}/${entry.name}`;
      const upper = tryLstat(`/proc/self/fd/${directory}/${entry.name}`);
      if (upper === undefined) continue;
      const found = findBelow(lowers, entry.name);
      if (isWhiteout(upper)) {
        if (found.stat !== undefined) this.#add(below, "deleted");
      } else if (isDirectory(upper)) this.#directory(directory, entry.name, below, upper, found);
      else if (!(upper.isFile() && upper.size === 0 && found.stat === undefined && this.#stubs.has(below)))
        this.#add(below, found.stat === undefined ? "added" : "modified");
    }
  }

  #directory(parent: number, name: string, path: string, upper: Stats, found: Found): void {
    const fd = openDirectory(`/proc/self/fd/${parent}/${name}`);
    if (fd === undefined) return;
    try {
      const at = this.#changes.length;
      const isReplaced = found.stat !== undefined && !isDirectory(found.stat);
      this.walk(fd, path, isReplaced || this.#isOpaque(fd) ? [] : found.directories);
      const isChanged = this.#changes.length > at;
      if (found.stat === undefined) {
        if (isChanged || !this.#stubs.has(path)) this.#add(path, "added", at);
      } else if (isReplaced || isChanged || !isSame(upper, found.stat)) this.#add(path, "modified", at);
    } finally {
      closeSync(fd);
    }
  }

  #isOpaque(fd: number): boolean {
    try {
      return Buffer.from(this.#sys.getXattr(`/proc/self/fd/${fd}`, opaque)).toString() === "y";
    } catch (error) {
      if (isErrno(error, "ENODATA", "ENOTSUP", "EOPNOTSUPP", "ENOENT")) return false;
      throw error;
    }
  }

  #add(path: string, kind: ChangeKind, at = this.#changes.length): void {
    if (this.#changes.length >= mostChanges)
      throw new GantryError("exhausted", `more than ${mostChanges} files of the container have changed`);
    this.#changes.splice(at, 0, { path: `/${path}`, kind });
  }
}

interface Found {
  /** Of what shows through; undefined: nothing does. */
  readonly stat: Stats | undefined;
  /** The directories of this name that are merged. */
  readonly directories: readonly string[];
}

function findBelow(lowers: readonly string[], name: string): Found {
  let first: Stats | undefined;
  const directories: string[] = [];
  for (const lower of lowers) {
    const stat = tryLstat(`${lower}/${name}`);
    if (stat === undefined) continue;
    if (isWhiteout(stat)) break;
    first ??= stat;
    if (!isDirectory(stat)) break;
    directories.push(`${lower}/${name}`);
  }
  return { stat: first, directories };
}

function entriesOf(directory: number): readonly Dirent[] {
  return readdirSync(`/proc/self/fd/${directory}`, { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

/** Undefined when it is no directory, or gone. */
function openDirectory(path: string): number | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    if (fstatSync(fd).isDirectory()) return fd;
    closeSync(fd);
    return undefined;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
}

function tryLstat(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

const isDirectory = (stat: Stats | undefined): boolean => stat?.isDirectory() === true;
const isWhiteout = (stat: Stats): boolean => stat.isCharacterDevice() && stat.rdev === 0;

/** A directory that was copied up because something in it changed, as it was. Its time tells of its entries, which are told of. */
const isSame = (a: Stats, b: Stats): boolean => a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
