/** Another program in the engine's place: same process, same directories; containers notice nothing, clients wait a moment. */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { copyFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { keepAs, keepOverExec, queueAt, type Sys } from "../kernel/index.ts";
import { GantryError, isCompiled, type Logger, messageOf, toGantryError } from "../lib/index.ts";
import { type Handover, handoverVariable } from "./handover.ts";

/** How long a program may take to judge the engine's flags. */
const checkMs = 20_000;
const maxWords = 2000;

/** The file that the engine runs from; it may have been replaced since. */
export function engineProgram(): string {
  if (!isCompiled)
    throw new GantryError("unsupported", "an engine that runs from source cannot be upgraded in place", {
      hint: "stop it and start it again: containers go on",
    });
  return readlinkSync("/proc/self/exe").replace(/ \(deleted\)$/, "");
}

/**
 * Asks a program whether it would serve with these flags, in place of finding out when nothing is left to go back to.
 * @returns its version
 * @throws {GantryError} "not-found", "denied", "invalid" with what it says
 */
export async function checkProgram(program: string, words: readonly string[]): Promise<string> {
  await ask(program, ["engine", "--validate", ...words]);
  return (await ask(program, ["--version"])).trim();
}

async function ask(program: string, words: readonly string[]): Promise<string> {
  let child;
  try {
    child = Bun.spawn([program, ...words], {
      cwd: "/",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: checkMs,
      killSignal: "SIGKILL",
    });
  } catch (error) {
    throw toGantryError(error, `run ${program}`);
  }
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code === 0) return out;
  const said = (err || out).trim().slice(0, maxWords) || `exit code ${code}`;
  throw new GantryError("invalid", `${program} cannot take over: ${said}`, {
    hint: "the engine goes on as it is",
  });
}

/** Puts a program in the place of the engine's, whole or not at all. */
export async function installProgram(from: string, to: string): Promise<void> {
  const fresh = join(dirname(to), `.${basename(to)}.new`);
  try {
    await copyFile(from, fresh);
    chmodSync(fresh, 0o755);
    await rename(fresh, to);
  } catch (error) {
    await rm(fresh, { force: true });
    throw toGantryError(error, `install ${from} as ${to}`);
  }
}

/**
 * From now on who connects to the API waits in a queue for the next program.
 * @returns the queue; undefined where the kernel or the C library has none, whose clients are refused for a moment
 */
export async function queueClients(path: string, logger: Logger): Promise<number | undefined> {
  const fresh = `${path}.queue`;
  try {
    const { uid, gid, mode } = statSync(path);
    rmSync(fresh, { force: true });
    const before = process.umask(0o177);
    const queue = await queueAt(fresh).finally(() => void process.umask(before));
    if (queue === undefined) return undefined;
    chownSync(fresh, uid, gid);
    chmodSync(fresh, mode & 0o777);
    renameSync(fresh, path);
    return queue;
  } catch (error) {
    logger.warn("upgrade.no-queue", { message: messageOf(error) });
    return undefined;
  }
}

export interface Replacement {
  readonly sys: Pick<Sys, "exec">;
  readonly program: string;
  readonly words: readonly string[];
  readonly handover: Handover;
  /** Sockets of systemd: our copies, and the numbers that they had. */
  readonly handed: readonly (readonly [copy: number, number: number])[];
  readonly logger: Logger;
}

/** Does not return: becomes the program; the one that runs now when it cannot be executed. */
export async function replaceProcess(replacement: Replacement): Promise<never> {
  const { sys, program, words, handover, handed, logger } = replacement;
  for (const fd of [...handover.locks, ...(handover.queue === undefined ? [] : [handover.queue])])
    await keepOverExec(fd);
  for (const [copy, number] of handed) await keepAs(copy, number);
  const env = Object.entries({ ...process.env, ...handoverVariable(handover) }).map(
    ([key, value]) => `${key}=${value ?? ""}`,
  );
  for (const path of [program, "/proc/self/exe"]) {
    try {
      const file = openSync(path, constants.O_RDONLY);
      try {
        sys.exec({ file, argv: [program, "engine", ...words], env });
      } finally {
        closeSync(file);
      }
    } catch (error) {
      logger.error("upgrade.failed", { path, message: messageOf(error) });
    }
  }
  throw new GantryError("internal", "the engine has ended for an upgrade and cannot begin again");
}
