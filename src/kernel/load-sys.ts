/** Loads the addon. */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";

import { GantryError, messageOf } from "../lib/index.ts";
import { readNativeFile } from "./native-file.ts";
import type { Sys } from "./sys.ts";

/** open(2): a file without a name. Not among node's constants. */
const O_TMPFILE = 0o20200000;

let loaded: Sys | undefined;

/**
 * The addon, loaded at the first call (0.3 ms) and kept.
 *
 * It is copied into a file without a name and loaded through /proc/self/fd: Bun's own way leaves a file of predictable
 * name in /tmp, which another user may have put there first, and which does not work where /tmp is mounted noexec.
 * @throws {GantryError} "unavailable" when the addon has not been built, "denied" when no place can hold executable code
 */
export function loadSys(): Sys {
  loaded ??= loadFromAnyPlace(readNativeFile("sys"));
  return loaded;
}

function loadFromAnyPlace(bytes: Uint8Array): Sys {
  const failures: string[] = [];
  for (const directory of new Set(["/dev/shm", "/run", tmpdir(), "/var/lib", "/var/tmp"])) {
    try {
      return loadThrough(directory, bytes);
    } catch (error) {
      // Read-only, absent, full, noexec, or a file system without O_TMPFILE: the next place may do.
      failures.push(`${directory}: ${messageOf(error)}`);
    }
  }
  throw new GantryError("denied", `cannot load native code: ${failures.join("; ")}`, {
    hint: "set TMPDIR to a directory that is writable and not mounted noexec",
  });
}

function loadThrough(directory: string, bytes: Uint8Array): Sys {
  const fd = openSync(directory, O_TMPFILE | constants.O_RDWR, 0o700);
  try {
    let written = 0;
    while (written < bytes.length) written += writeSync(fd, bytes, written);
    // The one place where the addon's shape is asserted; sys.test.ts calls every function of it.
    const holder = { exports: {} as Sys };
    process.dlopen(holder, `/proc/self/fd/${fd}`);
    return holder.exports;
  } finally {
    closeSync(fd);
  }
}
