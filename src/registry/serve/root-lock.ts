/**
 * The registry's own directory: made, writable, and this process's alone. flock(2), which the kernel lets go of when the process
 * dies: two servers on one root would count each other's uploads as forgotten.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { loadSys } from "../../kernel/index.ts";
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";

/** @returns gives the directory back. @throws {GantryError} */
export function lockRoot(root: string): () => void {
  const path = join(root, "serve.lock");
  let fd: number;
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    fd = openSync(path, "a+", 0o600);
  } catch (error) {
    throw unusable(root, error);
  }
  try {
    if (!loadSys().tryLock(fd)) throw heldBy(root, path);
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`);
  } catch (error) {
    closeSync(fd);
    throw unusable(root, error);
  }
  return () => closeSync(fd);
}

function unusable(root: string, error: unknown): GantryError {
  if (isErrno(error, "EEXIST", "ENOTDIR"))
    return new GantryError("invalid", `${root} is no directory`, {
      cause: error,
      hint: "the registry keeps its blobs and records in a directory of its own: --root DIRECTORY",
    });
  if (isErrno(error, "EACCES", "EPERM", "EROFS", "ENOENT"))
    return new GantryError("denied", `the registry cannot write to ${root}`, {
      cause: error,
      hint: "choose another directory with --root, or run it as a user who may write there",
    });
  return toGantryError(error, `open ${root}`);
}

function heldBy(root: string, path: string): GantryError {
  const pid = readFileSync(path, "utf8").trim();
  const who = /^\d+$/.test(pid) ? `another registry (pid ${pid})` : "another registry";
  return new GantryError("conflict", `${who} serves ${root} already`, {
    hint: "stop it, or give this one a directory of its own with --root; several instances share PostgreSQL and a bucket, not a root",
  });
}
