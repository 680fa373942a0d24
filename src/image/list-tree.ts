/** Lists files of a tree: runs in a confined child. */
import * as fs from "node:fs";
import { fsName, GantryError, isErrno, toGantryError, linkTarget, namesIn } from "../lib/index.ts";

export interface ListedEntry {
  /** Below the listed path; "" is the path itself. */
  readonly path: string;
  readonly type: "file" | "dir" | "symlink" | "other";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since 1970, decimal. */
  readonly mtimeNs: string;
  /** A link's target, else "". */
  readonly linkPath: string;
}

export interface ListOptions {
  /** Descend into directories; else only the path itself and what is in it. */
  readonly recursive: boolean;
  readonly maxEntries: number;
}

/**
 * Emits the path itself (looked through if it is a link) and then what is below it, sorted. Other links are not followed.
 * @returns whether the path exists
 * @throws {GantryError} "exhausted" for more than maxEntries
 */
export function listTree(path: string, options: ListOptions, emit: (entry: ListedEntry) => void): boolean {
  const stat = statThrough(path);
  if (stat === undefined) return false;
  emit(describe(path, "", stat));
  if (!stat.isDirectory()) return true;
  let count = 1;
  const stack = children(path, "");
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    if (++count > options.maxEntries)
      throw new GantryError("exhausted", `${path} holds more than ${options.maxEntries} files`);
    const full = `${path}/${name}`;
    const found = fs.lstatSync(fsName(full), { bigint: true });
    emit(describe(full, name, found));
    if (options.recursive && found.isDirectory()) stack.push(...children(path, name));
  }
  return true;
}

function statThrough(path: string): fs.BigIntStats | undefined {
  try {
    return fs.statSync(fsName(path), { bigint: true });
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw toGantryError(error, `look at ${path}`);
  }
}

function children(root: string, dir: string): string[] {
  const names = namesIn(dir === "" ? `${root}/` : `${root}/${dir}`)
    .sort()
    .reverse();
  return dir === "" ? names : names.map((name) => `${dir}/${name}`);
}

function describe(full: string, path: string, stat: fs.BigIntStats): ListedEntry {
  const type = stat.isFile()
    ? "file"
    : stat.isDirectory()
      ? "dir"
      : stat.isSymbolicLink()
        ? "symlink"
        : "other";
  return {
    path,
    type,
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: type === "file" ? Number(stat.size) : 0,
    mtimeNs: String(stat.mtimeNs),
    linkPath: type === "symlink" ? linkTarget(full) : "",
  };
}
