/**
 * The state directory of one container, `ROOT/ID`:
 *
 * - `state.json`: what stays the same, small, because every `state` reads it. It is there before any process is.
 * - `config.json`: the config as validated and completed; the bundle's may change later. Read only when it is needed.
 * - `process`: written by gantry-init (native/PROTOCOL.md, "Status file") when there is a process.
 * - `exec.fifo`: until start, the process waits at it.
 */
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";
import type { OciConfig } from "../oci-types.ts";
import { containerPids } from "./container-cgroups.ts";
import { O_CREAT, O_RDONLY, O_TRUNC } from "./open-flags.ts";
import { programName } from "./program-name.ts";
import { makeDirs, parentOf } from "./paths.ts";
import { livingStat, type ProcessIdentity, readStat } from "./process-identity.ts";

export const defaultRoot = "/run/gantry-oci";

const lockDeadlineMs = 10_000;
const maxStateBytes = 1 << 20;
const maxConfigBytes = 16 << 20;
/** The process's name while it waits at the fifo. A program may have it, too. */
const waiterName = "gantry-init";

export type Status = "creating" | "created" | "running" | "paused" | "stopped";

/** What is kept of a container. */
export interface StoredState {
  readonly id: string;
  readonly ociVersion: string;
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339. */
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Of the machine's boot in which it was made: pids of another boot mean nothing. */
  readonly bootId: string;
  /** A cgroup file that tells whether the container is frozen. */
  readonly freezer?: string;
  readonly systemdCgroup?: boolean;
  /** False with --no-new-keyring. */
  readonly newKeyring?: boolean;
  /** Missing until the process exists: a create that was killed before leaves such a state. */
  readonly process?: ProcessIdentity;
  /** As validated and completed. Read from its file when asked for the first time. */
  readonly config: OciConfig;
}

export class ContainerDir {
  readonly id: string;
  readonly path: string;
  /** While `locked` works. */
  #ours = false;

  /** @throws {GantryError} "invalid" for an id that runc would refuse, too */
  constructor(root: string, id: string) {
    if (id === "") throw new GantryError("invalid", "container id cannot be empty");
    if (!/^[\w+.-]{1,1024}$/.test(id) || id === "." || id === "..")
      throw new GantryError("invalid", `invalid container ID format: ${JSON.stringify(id)}`, {
        hint: "use letters, digits and _ + - . only",
      });
    this.id = id;
    this.path = `${root}/${id}`;
  }

  get fifo(): string {
    return `${this.path}/exec.fifo`;
  }

  /** Where gantry-init says which process it made. */
  get processFile(): string {
    return `${this.path}/process`;
  }

  /** Is there when an update has given the container cgroups that its plan does not know. */
  get moreCgroups(): string {
    return `${this.path}/more-cgroups`;
  }

  get exists(): boolean {
    return host.access(this.path, 0);
  }

  /** @throws {GantryError} "conflict" when there is one of this id */
  make(): void {
    try {
      makeDirs(parentOf(this.path), 0o711);
      host.mkdir(this.path, 0o711);
    } catch (error) {
      if (isErrno(error, "EEXIST"))
        throw new GantryError("conflict", "container with given ID already exists", {
          cause: error,
          hint: `delete it first: ${programName()} delete ${this.id}`,
        });
      throw toGantryError(error, `make the state directory ${this.path}`);
    }
  }

  /** @throws {GantryError} "not-found" when there is none, "corrupt" when a killed create left no state that can be read */
  read(): StoredState {
    const file = `${this.path}/state.json`;
    let state: { -readonly [Key in keyof StoredState]: StoredState[Key] };
    try {
      state = JSON.parse(host.readSmall(file, maxStateBytes)) as StoredState;
      if (typeof state !== "object" || state === null) throw new GantryError("corrupt", "not an object");
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR") && !this.exists)
        throw new GantryError("not-found", "container does not exist", { cause: error });
      throw new GantryError("corrupt", `the state file ${file} cannot be read`, {
        cause: error,
        hint: `its create was killed, or works still; remove the container with: ${programName()} delete --force ${this.id}`,
      });
    }
    const readConfig = (): OciConfig => this.#readConfig();
    const text = this.#processText();
    const process = text === undefined ? this.#findProcess(state.bootId, readConfig) : parseProcess(text);
    if (process !== undefined) state.process = process;
    let config: OciConfig | undefined;
    // Added to what was parsed, not to a copy: `list` does this for thousands.
    return Object.defineProperty(state, "config", {
      enumerable: true,
      configurable: true,
      get: () => (config ??= readConfig()),
    });
  }

  /** Keeps a state, its config and, if it has one, its process. */
  write(state: StoredState): void {
    const { config, process, ...kept } = state;
    try {
      host.writeFile(`${this.path}/config.json.tmp`, JSON.stringify(config), O_CREAT | O_TRUNC, 0o600);
      host.rename(`${this.path}/config.json.tmp`, `${this.path}/config.json`);
      if (process !== undefined)
        host.replaceFile(this.processFile, `running ${process.pid} ${process.startTime} 0\n`, 0o600);
      host.replaceFile(`${this.path}/state.json`, JSON.stringify(kept), 0o600);
    } catch (error) {
      throw toGantryError(error, `write the state of container ${this.id}`);
    }
  }

  remove(): void {
    removeTree(this.path);
  }

  /** What the container is now, from the process and the fifo. Paused is left to those who ask the freezer. */
  statusOf(state: StoredState): Exclude<Status, "paused"> {
    return this.lookAt(state).status;
  }

  /** As statusOf, with the letter of the first process's state, such as "S", when it runs. */
  lookAt(state: StoredState): { readonly status: Exclude<Status, "paused">; readonly letter: string } {
    if (state.process === undefined) return { status: this.#isHeld() ? "creating" : "stopped", letter: "" };
    const stat = livingStat(state.process);
    if (stat === undefined || state.bootId !== bootId()) return { status: "stopped", letter: "" };
    // Whose name has become another has executed its program.
    const waits = stat.name === waiterName && host.access(this.fifo, 0) && waitsAtFifo(state.process.pid);
    return { status: waits ? "created" : "running", letter: stat.state };
  }

  /**
   * Runs `work` while no other command works on this container.
   * @throws {GantryError} "not-found" when it is deleted meanwhile, "timeout" when another command holds it for over 10 s
   */
  locked<T>(work: () => T): T {
    const fd = this.#open();
    try {
      if (!host.lock(fd, lockDeadlineMs))
        throw new GantryError(
          "timeout",
          `another command has worked on container ${this.id} for over ${lockDeadlineMs / 1000} s`,
        );
      if (!this.#isSame(fd)) throw new GantryError("not-found", "container does not exist");
      this.#ours = true;
      return work();
    } finally {
      this.#ours = false;
      host.close(fd);
    }
  }

  #open(): number {
    try {
      return host.open(this.path, O_RDONLY, 0);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR"))
        throw new GantryError("not-found", "container does not exist", { cause: error });
      throw toGantryError(error, `open ${this.path}`);
    }
  }

  /** True while another command works on it. */
  #isHeld(): boolean {
    if (this.#ours) return false;
    const fd = this.#open();
    try {
      return !host.lock(fd, 0);
    } finally {
      host.close(fd);
    }
  }

  /** False when the directory was removed, or made anew, before the lock was got. */
  #isSame(fd: number): boolean {
    try {
      return host.stat(this.path).ino === host.fstat(fd).ino;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return false;
      throw error;
    }
  }

  #processText(): string | undefined {
    try {
      return host.readSmall(this.processFile, 256);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw toGantryError(error, `read ${this.processFile}`);
    }
  }

  /**
   * gantry-init has not said which process it made. Either a command is about to make it, or both were killed: then the
   * first process of the container's cgroup, if there is one, is what was made.
   */
  #findProcess(madeInBoot: string, readConfig: () => OciConfig): ProcessIdentity | undefined {
    if (madeInBoot !== bootId() || this.#isHeld()) return undefined;
    const pid = Math.min(...containerPids({ config: readConfig() }));
    const stat = Number.isFinite(pid) ? readStat(pid) : undefined;
    return stat === undefined ? undefined : { pid, startTime: stat.startTime };
  }

  #readConfig(): OciConfig {
    const file = `${this.path}/config.json`;
    try {
      return JSON.parse(host.readFile(file, maxConfigBytes)) as OciConfig;
    } catch (error) {
      throw new GantryError("corrupt", `the kept config ${file} cannot be read`, {
        cause: error,
        hint: `remove the container: ${programName()} delete --force ${this.id}`,
      });
    }
  }
}

/** `running PID STARTTIME MONITORPID`; undefined for every other word of gantry-init: nothing runs. Pure. */
export function parseProcess(text: string): ProcessIdentity | undefined {
  const [word, pid = "", startTime = ""] = text.trim().split(" ");
  return word === "running" && /^[1-9][0-9]*$/.test(pid) ? { pid: Number(pid), startTime } : undefined;
}

/** The ids below a root, sorted; none when the root does not exist. */
export function containerIds(root: string): readonly string[] {
  try {
    return [...host.readdir(root)].sort();
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw toGantryError(error, `list ${root}`);
  }
}

let knownBootId: string | undefined;

/** Changes with every boot of the machine. Read once: `list` asks for every container. */
export function bootId(): string {
  knownBootId ??= host.readFile("/proc/sys/kernel/random/boot_id", 256).trim();
  return knownBootId;
}

/** A start that was killed may leave the fifo: only who still is gantry-init waits at it. */
function waitsAtFifo(pid: number): boolean {
  try {
    return host.readlink(`/proc/${pid}/exe`).startsWith("/memfd:gantry-init ");
  } catch {
    // EACCES: it cannot be looked into, as gantry-init arranges for itself. ENOENT: it has just ended.
    return true;
  }
}

/** How often a directory is emptied anew: a gantry-init on its way out may put its last word there meanwhile. */
const emptyings = 50;

function removeTree(path: string, left = emptyings): void {
  try {
    if (host.lstat(path).kind === "dir") {
      for (const name of host.readdir(path)) removeTree(`${path}/${name}`);
      host.rmdir(path);
    } else {
      host.unlink(path);
    }
  } catch (error) {
    if (isErrno(error, "ENOTEMPTY", "EEXIST") && left > 0) {
      host.sleep(1);
      return removeTree(path, left - 1);
    }
    // ENOENT: another command was faster.
    if (!isErrno(error, "ENOENT")) throw toGantryError(error, `remove ${path}`);
  }
}
