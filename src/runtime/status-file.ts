/** The monitor's status file: native/PROTOCOL.md, "Status file". */
import { readFileSync } from "node:fs";
import { GantryError, isErrno } from "../lib/index.ts";
import type { Exited, Started } from "./frames.ts";

export type StatusFile =
  | { readonly state: "running"; readonly started: Started }
  | { readonly state: "exited"; readonly exited: Exited }
  | { readonly state: "failed"; readonly index: number; readonly errno: number };

/**
 * Reads what the monitor last said; undefined when it has written nothing yet.
 * @throws {GantryError} "corrupt" when the file is not of this form
 */
export function readStatusFile(path: string): StatusFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
  return parseStatus(text, path);
}

/** Pure part of `readStatusFile`. */
export function parseStatus(text: string, path: string): StatusFile {
  const [state, ...words] = text.trim().split(" ");
  if (words.some((word) => !/^-?[0-9]+$/.test(word))) throw corrupt(path);
  const numbers = words.map(Number);
  if (state === "running" && words.length === 3) {
    const [pid = 0, , monitorPid = 0] = numbers;
    return { state, started: { pid, startTime: words[1] ?? "", monitorPid } };
  }
  if (state === "exited" && words.length === 5) {
    const [exitCode = 0, signal = 0, oom = 0, , lostLogLines = 0] = numbers;
    const atMs = Number(BigInt(words[3] ?? "0") / 1_000_000n);
    return { state, exited: { exitCode, signal, oomKilled: oom !== 0, atMs, lostLogLines } };
  }
  if (state === "failed" && words.length === 2) {
    const [index = 0, errno = 0] = numbers;
    return { state, index, errno };
  }
  throw corrupt(path);
}

function corrupt(path: string): GantryError {
  return new GantryError("corrupt", `the status file ${path} is not of a monitor`);
}
