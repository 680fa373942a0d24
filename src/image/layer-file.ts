/**
 * Reading a small file of an image without a child: /etc/passwd at each start of a container. Layers are written once by
 * the confined child and never change, so nothing can be swapped between look and open; wherever a link or overlay's own
 * marks would have to be understood beyond the simple case, the child is asked.
 */
import * as fs from "node:fs";
import type { Sys } from "../kernel/index.ts";
import { GantryError } from "../lib/index.ts";
import { isOpaque } from "./stubs.ts";

type LayerFileSys = Pick<Sys, "getXattr">;

type Found = { readonly path: string; readonly stat: fs.Stats } | "hidden" | "link" | undefined;

/**
 * @param lowers layer directories, top first
 * @returns undefined when the file does not exist; "needs-child" when only an overlay mount can tell
 * @throws {GantryError} "exhausted" when it is larger than maxBytes, "invalid" when it is no regular file
 */
export function readLayerFile(
  sys: LayerFileSys,
  lowers: readonly string[],
  { path, maxBytes }: { readonly path: string; readonly maxBytes: number },
): Uint8Array | undefined | "needs-child" {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || parts.length === 0) return "needs-child";
  for (const lower of lowers) {
    const found = findIn(sys, lower, parts);
    if (found === "link") return "needs-child";
    if (found === "hidden") return undefined;
    if (found === undefined) continue;
    if (!found.stat.isFile()) throw new GantryError("invalid", `${path} is not a regular file`);
    if (found.stat.size > maxBytes)
      throw new GantryError("exhausted", `${path} is larger than ${maxBytes} bytes`);
    return fs.readFileSync(found.path);
  }
  return undefined;
}

/**
 * A directory of the layers by its path, "" for the root; undefined where there is none without links on the way.
 * @param lowers layer directories, top first
 */
export function findLayerDirectory(
  sys: LayerFileSys,
  lowers: readonly string[],
  path: string,
): string | undefined {
  if (path === "") return lowers[0];
  for (const lower of lowers) {
    const found = findIn(sys, lower, path.split("/"));
    if (found === undefined) continue;
    return typeof found !== "string" && found.stat.isDirectory() ? found.path : undefined;
  }
  return undefined;
}

function findIn(sys: LayerFileSys, lower: string, parts: readonly string[]): Found {
  let path = lower;
  let absent: Found;
  for (const [i, part] of parts.entries()) {
    path += `/${part}`;
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return absent;
    if (stat.isSymbolicLink()) return "link";
    // A whiteout, or a file where the path needs a directory, hides what is below.
    if (stat.isCharacterDevice() && stat.rdev === 0) return "hidden";
    if (i === parts.length - 1) return { path, stat };
    if (!stat.isDirectory()) return "hidden";
    if (isOpaque(sys, path)) absent = "hidden";
  }
  return undefined;
}
