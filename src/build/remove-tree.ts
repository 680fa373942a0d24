/** Removing what a build left behind, however deep a command made it. */
import { lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import { isErrno } from "../lib/index.ts";

/** Paths longer than this are moved up before their content is looked at; the kernel takes no path over 4095 bytes. */
const maxPath = 3000;

/**
 * Removes a file or a tree without following links; nothing there is fine. No other process may work in it.
 * @throws system errors such as EBUSY for a mount point
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    // Too deep for one path, or too deep for recursion.
    if (!isErrno(error, "ENAMETOOLONG", "ENOTEMPTY", "ELOOP", "EMFILE")) throw error;
    await removeDeep(path);
  }
}

async function removeDeep(top: string): Promise<void> {
  const moved = `${top}.deep`;
  await mkdir(moved, { recursive: true });
  let count = 0;
  const stack = [moved, top];
  for (let path = stack.at(-1); path !== undefined; path = stack.at(-1)) {
    const names = (await isDirectory(path)) ? await readdir(path) : [];
    if (names.length === 0) {
      await rm(path, { recursive: true, force: true });
      stack.pop();
      continue;
    }
    for (const name of names) {
      const child = `${path}/${name}`;
      if (path.length <= maxPath) stack.push(child);
      else {
        const place = `${moved}/${count++}`;
        await rename(child, place);
        stack.push(place);
      }
    }
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}
