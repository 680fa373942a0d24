/**
 * Directories that a layer's archive did not describe: overlay shows the topmost layer's attributes, so that they must be
 * those of the directory below. Runs in the confined child, before it ends.
 */
import * as fs from "node:fs";
import { fsName, isErrno, tryStat } from "../lib/index.ts";
import type { Sys } from "../kernel/index.ts";

/** What attributes are carried over with. */
export type InheritSys = Pick<Sys, "listXattrs" | "getXattr" | "setXattr" | "setTimes">;

/**
 * @param implied paths below the layer's root, "" is the root
 * @param parent where what lies below the layer is readable
 */
export function inheritDirectories(sys: InheritSys, implied: readonly string[], parent: string): void {
  // Deepest first: a time set on a directory stays when its parents are changed.
  for (const path of [...implied].sort().reverse()) {
    const from = walk(parent, path);
    if (from === undefined || tryStat(`/${path}`)?.isDirectory() !== true) continue;
    copyAttributes(sys, from, `/${path}`);
  }
}

/** The path below `parent` if every part of it is a directory: a link would lead out of what lies below. */
export function walk(parent: string, path: string): string | undefined {
  let at = parent;
  for (const part of path.split("/")) {
    if (part !== "") at += `/${part}`;
    if (fs.lstatSync(fsName(at), { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  }
  return at;
}

/** Owner, mode, extended attributes and time of one file to another of the same kind. */
export function copyAttributes(sys: InheritSys, from: string, to: string): void {
  const stat = fs.lstatSync(fsName(from), { bigint: true });
  fs.lchownSync(fsName(to), Number(stat.uid), Number(stat.gid));
  fs.chmodSync(fsName(to), Number(stat.mode & 0o7777n));
  for (const name of listInheritable(sys, from))
    sys.setXattr(fsName(to), name, sys.getXattr(fsName(from), name));
  sys.setTimes(fsName(to), stat.mtimeNs, stat.mtimeNs);
}

/** Names of a directory's extended attributes that are not of its machine or mount. */
export function listInheritable(sys: Pick<Sys, "listXattrs">, path: string): readonly string[] {
  try {
    return sys
      .listXattrs(fsName(path))
      .filter((name) => !name.startsWith("trusted.overlay.") && name !== "security.selinux");
  } catch (error) {
    if (isErrno(error, "ENOTSUP", "EOPNOTSUPP")) return [];
    throw error;
  }
}
