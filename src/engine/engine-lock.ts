/** At most one engine a directory: flock(2) on a file in each, which the kernel lets go of when the engine dies. */
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Sys } from "../kernel/index.ts";
import { GantryError, isErrno, toGantryError } from "../lib/index.ts";
import type { EnginePaths } from "./paths.ts";

/** How long a dead engine's lock may outlive it: a child of its own, cloned when it was killed, has it until its exec. */
const dyingMs = 2000;

export class EngineLock {
  readonly #fds: readonly number[];

  private constructor(fds: readonly number[]) {
    this.#fds = fds;
  }

  /**
   * Makes the directories and takes their locks.
   * @param inherited open files of an engine that this one replaces, which holds the locks by them
   * @throws {GantryError} "conflict" when another engine has one, "denied" when they cannot be made
   */
  static async take(paths: EnginePaths, sys: Sys, inherited: readonly number[] = []): Promise<EngineLock> {
    const fds: number[] = [];
    try {
      for (const [dir, file] of [
        [paths.root, paths.lock],
        [paths.state, join(paths.state, "lock")],
      ] as const) {
        mkdirSync(dir, { recursive: true, mode: 0o711 });
        const fd = inherited.find((open) => isFile(open, file)) ?? openSync(file, "a+", 0o600);
        fds.push(fd);
        for (const deadline = Date.now() + dyingMs; !sys.tryLock(fd); await Bun.sleep(5))
          if (holderLives(file) || Date.now() > deadline) throw heldBy(dir, file);
        ftruncateSync(fd);
        writeSync(fd, `${process.pid}\n`);
      }
    } catch (error) {
      for (const fd of fds) closeSync(fd);
      if (isErrno(error, "EACCES", "EPERM", "EROFS")) {
        throw new GantryError("denied", `the engine cannot use ${paths.root} and ${paths.state}`, {
          cause: error,
          hint: "run it as root, or choose other directories with --root and --state",
        });
      }
      throw toGantryError(error, `open ${paths.root}`);
    }
    return new EngineLock(fds);
  }

  /** For an engine that replaces this one. */
  get files(): readonly number[] {
    return this.#fds;
  }

  release(): void {
    for (const fd of this.#fds) closeSync(fd);
  }
}

function isFile(fd: number, path: string): boolean {
  const [open, there] = [fstatSync(fd), statSync(path, { throwIfNoEntry: false })];
  return open.ino === there?.ino && open.dev === there.dev;
}

function holderLives(file: string): boolean {
  const pid = readFileSync(file, "utf8").trim();
  return /^\d+$/.test(pid) && existsSync(`/proc/${pid}`);
}

function heldBy(dir: string, file: string): GantryError {
  const pid = readFileSync(file, "utf8").trim();
  const who = /^\d+$/.test(pid) ? `another engine (pid ${pid})` : "another engine";
  return new GantryError("conflict", `${who} already uses ${dir}`, {
    hint: "stop that engine, or choose other directories with --root and --state",
  });
}
