/**
 * The mounts of layer files: `lowers/HEX` below the data directory. The kernel is asked what is mounted, so that an engine
 * finds the mounts of one that was killed. The directory is a mount of its own that cannot be bound: nothing in it reaches
 * other mount namespaces, nor a container that has the host's root as a volume.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { mountFlags } from "../../kernel/index.ts";
import { GantryError, isErrno, toGantryError } from "../../lib/index.ts";
import type { DriverSys } from "../layer-driver.ts";
import { blockBytes, blocksOf, erofsMagic, superOffset } from "./format.ts";

const { MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_UNBINDABLE } = mountFlags;
/** For who looks into the directory. What an overlay shows has the overlay's own flags: set-id files work in containers. */
const quiet = Number(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
const detach = 2;

export class LayerMounts {
  readonly #dir: string;
  readonly #sys: DriverSys;
  #isApart = false;

  /** @param root the data directory */
  constructor(sys: DriverSys, root: string) {
    this.#sys = sys;
    this.#dir = join(root, "lowers");
    fs.mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
  }

  path(name: string): string {
    return join(this.#dir, name);
  }

  /**
   * Mounts a layer's file unless it is mounted; returns where.
   * @throws {GantryError} "corrupt" for a file that is not as it was written; "unsupported" when the kernel refuses it
   */
  mount(name: string, file: string): string {
    const path = this.path(name);
    if (this.#isMounted(path)) return path;
    checkFile(file);
    this.#setApart();
    fs.mkdirSync(path, { recursive: true, mode: 0o700 });
    try {
      this.#sys.mount(file, path, "erofs", quiet, "");
    } catch (error) {
      throw refusal(file, error);
    }
    return path;
  }

  /** What uses its files as lower layers keeps them. */
  unmount(name: string): void {
    const path = this.path(name);
    if (this.#isMounted(path)) this.#sys.umount(path, detach);
    fs.rmSync(path, { force: true, recursive: true });
    this.#leaveEmpty();
  }

  /** Unmounts what `isNeeded` does not claim. */
  unmountAll(isNeeded: (name: string) => boolean): void {
    for (const name of fs.readdirSync(this.#dir)) if (!isNeeded(name)) this.unmount(name);
    this.#leaveEmpty();
  }

  /** The place itself is no mount any more when nothing is in it. */
  #leaveEmpty(): void {
    if (fs.readdirSync(this.#dir).length > 0 || !this.#isMountPoint()) return;
    this.#sys.umount(this.#dir, detach);
    this.#isApart = false;
  }

  #isMounted(path: string): boolean {
    try {
      return this.#sys.statfs(path).type === erofsMagic;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return false;
      throw toGantryError(error, `look at ${path}`);
    }
  }

  #setApart(): void {
    if (this.#isApart) return;
    if (!this.#isMountPoint()) this.#sys.mount(this.#dir, this.#dir, "", Number(MS_BIND), "");
    this.#sys.mount("", this.#dir, "", Number(MS_UNBINDABLE), "");
    this.#isApart = true;
  }

  #isMountPoint(): boolean {
    // A path in mountinfo has its blanks and backslashes as octal numbers.
    const shown = fs
      .realpathSync(this.#dir)
      .replace(/[ \t\n\\]/g, (sign) => `\\${sign.charCodeAt(0).toString(8).padStart(3, "0")}`);
    return fs.readFileSync("/proc/self/mountinfo", "utf8").includes(` ${shown} `);
  }
}

/** The kernel reads zeros where a file has become shorter: found here, before anything is run from it. */
function checkFile(file: string): void {
  const block = Buffer.alloc(blockBytes);
  let size: number;
  try {
    const fd = fs.openSync(file, fs.constants.O_RDONLY);
    try {
      fs.readSync(fd, block, 0, block.length, superOffset);
      ({ size } = fs.fstatSync(fd));
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    throw toGantryError(error, "read a layer");
  }
  const blocks = blocksOf(block);
  if (blocks === undefined || blocks * blockBytes !== size) {
    throw new GantryError("corrupt", `the layer file ${file} has been changed on disk`, {
      hint: "remove the image and pull or load it anew, or repair it with: gantry image verify",
    });
  }
}

function refusal(file: string, error: unknown): GantryError {
  if (!isErrno(error, "EINVAL", "ENODEV", "ENOTBLK", "EOPNOTSUPP", "EPERM"))
    return toGantryError(error, `mount the layer ${file}`);
  return new GantryError(
    "unsupported",
    `the kernel cannot mount the layer ${file}: ${error instanceof Error ? error.message : ""}`,
    {
      cause: error,
      hint: "layers are files of EROFS here, which Linux 6.12 and later mount; on another kernel pull the image anew with: gantry engine --snapshotter overlay",
    },
  );
}
