/**
 * Stubs: empty files and directories that a container's mounts needed as targets (`/etc/resolv.conf`, `/proc`). They are
 * no change of the image, so they are taken out of an upper directory before it becomes a layer.
 */
import * as fs from "node:fs";
import { fsName, isErrno } from "../lib/index.ts";
import type { Sys } from "../kernel/index.ts";
import { walk } from "./inherit.ts";

type StubSys = Pick<Sys, "getXattr">;

/**
 * @param stubs paths below the root
 * @param parent where the layers below are readable, if there are any
 */
export function removeStubs(sys: StubSys, stubs: readonly string[], parent: string | undefined): void {
  for (const stub of stubs) {
    const parts = stub.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.includes("..") || !removeEmpty(parts)) continue;
    // Making the stub copied its parents up: those that now tell nothing new go as well.
    for (parts.pop(); parts.length > 0 && removeCopied(sys, parts, parent);) parts.pop();
  }
}

function removeEmpty(parts: readonly string[]): boolean {
  const path = walk("/.", parts.slice(0, -1).join("/"));
  if (path === undefined || parts.length === 0) return false;
  const full = `${path}/${parts.at(-1)}`;
  const stat = fs.lstatSync(fsName(full), { throwIfNoEntry: false });
  try {
    if (stat?.isDirectory() === true) fs.rmdirSync(fsName(full));
    else if (stat?.isFile() === true && stat.size === 0) fs.unlinkSync(fsName(full));
    else return false;
    return true;
  } catch (error) {
    if (isErrno(error, "ENOTEMPTY", "EEXIST")) return false;
    throw error;
  }
}

/** Removes an empty directory that is as the one below it. */
function removeCopied(sys: StubSys, parts: readonly string[], parent: string | undefined): boolean {
  const below = parent === undefined ? undefined : walk(parent, parts.join("/"));
  const path = walk("/.", parts.join("/"));
  if (below === undefined || path === undefined || isOpaque(sys, path)) return false;
  const [a, b] = [fs.lstatSync(fsName(below)), fs.lstatSync(fsName(path))];
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid || fs.readdirSync(path).length > 0)
    return false;
  fs.rmdirSync(fsName(path));
  return true;
}

/** True for a directory that hides what lower layers have in it. */
export function isOpaque(sys: StubSys, path: string): boolean {
  try {
    return Buffer.from(sys.getXattr(fsName(path), "trusted.overlay.opaque")).toString() === "y";
  } catch (error) {
    if (isErrno(error, "ENODATA", "ENOTSUP", "EOPNOTSUPP")) return false;
    throw error;
  }
}
