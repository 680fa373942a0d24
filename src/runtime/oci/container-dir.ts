/** The state directory of one container: `ROOT/ID` with state.json and, until start, the fifo that its program waits at. */
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import type { Sys } from "../../kernel/index.ts";
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";
import type { OciConfig } from "../oci-types.ts";
import { isAlive } from "./process-identity.ts";

const lockDeadlineMs = 10_000;
const lockPollMs = 5;

export type Status = "creating" | "created" | "running" | "paused" | "stopped";

/** What is kept of a container; written as a whole, by rename. */
export interface StoredState {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339. */
  readonly created: string;
  /** Missing until the process exists: a create that was killed before leaves such a state. */
  readonly process?: { readonly pid: number; readonly startTime: string };
  /** As validated and completed; the bundle's may change later. */
  readonly config: OciConfig;
}

export class ContainerDir {
  readonly id: string;
  readonly path: string;

  /** @throws {GantryError} "invalid" for an id that runc would refuse, too */
  constructor(root: string, id: string) {
    if (!/^[\w+.-]{1,1024}$/.test(id) || id === "." || id === "..")
      throw new GantryError("invalid", `invalid container ID format: ${JSON.stringify(id)}`, {
        hint: "use letters, digits and _ + - . only",
      });
    this.id = id;
    this.path = `${root}/${id}`;
  }

  get fifo(): string {
    return `${this.path}/start.fifo`;
  }

  /** @throws {GantryError} "conflict" when there is one of this id */
  make(): void {
    try {
      mkdirSync(this.path.slice(0, this.path.lastIndexOf("/")), { recursive: true, mode: 0o711 });
      mkdirSync(this.path, { mode: 0o711 });
    } catch (error) {
      if (isErrno(error, "EEXIST"))
        throw new GantryError("conflict", "container with given ID already exists", {
          cause: error,
          hint: `delete it first: gantry-oci delete ${this.id}`,
        });
      throw toGantryError(error, `make the state directory ${this.path}`);
    }
  }

  /** @throws {GantryError} "not-found" when there is none */
  read(): StoredState {
    try {
      return JSON.parse(readFileSync(`${this.path}/state.json`, "utf8")) as StoredState;
    } catch (error) {
      if (isErrno(error, "ENOENT"))
        throw new GantryError("not-found", "container does not exist", { cause: error });
      throw new GantryError("corrupt", `the state file ${this.path}/state.json cannot be read`, {
        cause: error,
        hint: `remove the container: gantry-oci delete --force ${this.id}`,
      });
    }
  }

  write(state: StoredState): void {
    const file = `${this.path}/state.json`;
    writeFileSync(`${file}.tmp`, JSON.stringify(state), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  /** What the container is now, from the process and the fifo. Paused is left to those who ask the freezer. */
  statusOf(state: StoredState): Exclude<Status, "paused"> {
    if (state.process === undefined || !isAlive(state.process)) return "stopped";
    return existsSync(this.fifo) ? "created" : "running";
  }

  /**
   * Runs `work` while no other command works on this container.
   * @throws {GantryError} "not-found" when it is deleted meanwhile, "timeout" when another command holds it for over 10 s
   */
  async locked<T>(sys: Sys, work: () => Promise<T>): Promise<T> {
    let fd: number;
    try {
      fd = openSync(this.path, "r");
    } catch (error) {
      if (isErrno(error, "ENOENT"))
        throw new GantryError("not-found", "container does not exist", { cause: error });
      throw toGantryError(error, `open ${this.path}`);
    }
    try {
      const until = performance.now() + lockDeadlineMs;
      while (!sys.tryLock(fd)) {
        if (performance.now() > until)
          throw new GantryError(
            "timeout",
            `another command has worked on container ${this.id} for over ${lockDeadlineMs / 1000} s`,
          );
        await Bun.sleep(lockPollMs);
      }
      if (!this.#isSame(fd)) throw new GantryError("not-found", "container does not exist");
      return await work();
    } finally {
      closeSync(fd);
    }
  }

  /** False when the directory was removed, or made anew, before the lock was got. */
  #isSame(fd: number): boolean {
    try {
      return statSync(this.path).ino === fstatSync(fd).ino;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return false;
      throw error;
    }
  }
}

/** The ids below a root, sorted; none when the root does not exist. */
export function containerIds(root: string): readonly string[] {
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw toGantryError(error, `list ${root}`);
  }
}
