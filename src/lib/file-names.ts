/** Names that the file system tells, as text from which `fsName` makes the same bytes again. */
import * as fs from "node:fs";
import { isErrno } from "./errors.ts";
import { decodeName, fsName } from "./tar-name.ts";

/** What text decoders make of bytes that are no UTF-8; a name may hold it itself. */
const replacement = "\ufffd";

/** The names in a directory, in no order. */
export function namesIn(path: string): string[] {
  const names = fs.readdirSync(fsName(path));
  if (!names.some((name) => name.includes(replacement))) return names;
  return fs.readdirSync(fsName(path), { encoding: "buffer" }).map((name) => decodeName(name));
}

export function linkTarget(path: string): string {
  const target = fs.readlinkSync(fsName(path));
  if (!target.includes(replacement)) return target;
  return decodeName(fs.readlinkSync(fsName(path), { encoding: "buffer" }));
}

/**
 * What there is of a name; undefined for nothing, also where a file is in the place of a directory above.
 * @param follow look through a link
 */
export function tryStat(path: string, follow = false): fs.Stats | undefined {
  try {
    return follow ? fs.statSync(fsName(path)) : fs.lstatSync(fsName(path));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
