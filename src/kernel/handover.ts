/** File descriptors that one program leaves to the next, which replaces it in the same process (execve). */
import { toGantryError } from "../lib/index.ts";
import { libc, socketTypes, unixAddress, unixSocket } from "./libc.ts";

const setFdFlags = 2;
const longestQueue = 4096;

/**
 * A listening unix socket that nobody accepts from: who connects waits for the next program.
 * @returns its fd; undefined where there can be none
 */
export async function queueAt(path: string): Promise<number | undefined> {
  const address = unixAddress(path);
  const fd = await unixSocket(socketTypes.stream);
  if (address === undefined || fd === undefined) return undefined;
  const { bind, listen, close, ptr } = await libc();
  if (bind(fd, ptr(address), address.length) === 0 && listen(fd, longestQueue) === 0) return fd;
  close(fd);
  return undefined;
}

/** Open in the next program, under the same number. */
export async function keepOverExec(fd: number): Promise<void> {
  if ((await libc()).fcntl(fd, setFdFlags, 0) < 0)
    throw toGantryError(new Error(`fcntl(${fd})`), "keep a file open");
}

/** Open in the next program, under another number. */
export async function keepAs(fd: number, number: number): Promise<void> {
  if ((await libc()).dup2(fd, number) < 0)
    throw toGantryError(new Error(`dup2(${fd}, ${number})`), "keep a file open");
}
