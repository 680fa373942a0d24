/** How this program runs itself again, compiled or from source. */
import { resolve } from "node:path";

/** True in the compiled binary, whose modules live in Bun's virtual file system. */
export const isCompiled: boolean = import.meta.path.startsWith("/$bunfs/");

/**
 * The command line that starts this same program with `words`, for the confined children that unpack, diff and copy.
 * Compiled, it is run through /proc/self/exe, so that an upgrade of the file on disk cannot mix two versions.
 */
export function selfCommand(...words: readonly string[]): string[] {
  if (isCompiled) return ["/proc/self/exe", ...words];
  return [process.execPath, resolve(import.meta.dir, "../main.ts"), ...words];
}
