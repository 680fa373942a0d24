/** Changes owner, mode and time of inodes in a layer's file, in place. */
import * as fs from "node:fs";
import type { UnpackedLayer } from "../child-request.ts";
import type { DirectoryAttributes } from "./inherited.ts";
import { inodeBytes, redressInode } from "./format.ts";

/** @param file one that nothing has mounted yet */
export async function dressInodes(
  file: string,
  { implied, impliedAt = [] }: UnpackedLayer,
  directories: readonly DirectoryAttributes[],
): Promise<void> {
  if (directories.length === 0) return;
  const places = new Map(implied.map((path, i) => [path, impliedAt[i]]));
  await using handle = await fs.promises.open(file, "r+");
  const inode = Buffer.alloc(inodeBytes);
  for (const { path, mode, uid, gid, mtimeNs } of directories) {
    const at = places.get(path);
    if (at === undefined) continue;
    await handle.read(inode, 0, inodeBytes, at);
    const [seconds, nanoseconds] = [Number(mtimeNs / billion), Number(mtimeNs % billion)];
    redressInode(inode, { mode, uid, gid, seconds, nanoseconds });
    await handle.write(inode, 0, inodeBytes, at);
  }
}

const billion = 1_000_000_000n;
