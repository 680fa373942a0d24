/**
 * How a child shuts itself in: a mount namespace of its own, then chroot. Both act on the calling thread only, so that all
 * that follows must be blocking calls on this thread. What is mounted here vanishes with the process.
 */
import * as fs from "node:fs";
import { cloneFlags, mountFlags, type Sys } from "../kernel/index.ts";
import { GantryError, toGantryError } from "../lib/index.ts";
import type { ProcessName, TreeRoot } from "./child-request.ts";

/** Overlay features that would hide content from a reader of single layers are off. */
const overlayOptions = "redirect_dir=off,metacopy=off,index=off";
/** Nothing in the tree can be run or act as a device by being opened here. */
const quiet = Number(mountFlags.MS_NODEV | mountFlags.MS_NOSUID | mountFlags.MS_NOEXEC);
/** The kernel stacks no more. */
const maxLowers = 500;

/** Own mounts from here on: a tmpfs on `scratch` that only this process sees becomes the working directory. */
export function enterScratch(sys: Sys, scratch: string): void {
  try {
    sys.unshare(Number(cloneFlags.CLONE_NEWNS));
    sys.mount("", "/", "", Number(mountFlags.MS_REC | mountFlags.MS_PRIVATE), "");
    sys.mount("tmpfs", scratch, "tmpfs", 0, "mode=0700,size=4m");
  } catch (error) {
    throw toGantryError(error, "make a mount namespace for handling files");
  }
  process.chdir(scratch);
  process.umask(0);
}

/** The working directory must be the scratch tmpfs: short links there keep any number of layers within one page of options. */
function mountOverlay(
  sys: Sys,
  name: string,
  root: { lowers: readonly string[]; upper?: string; work?: string },
): void {
  if (root.lowers.length > maxLowers) {
    throw new GantryError(
      "unsupported",
      `an image may have at most ${maxLowers} layers, this one has ${root.lowers.length}`,
    );
  }
  const linked = root.lowers.map((path, i) => link(path, `${name}${i}`));
  fs.mkdirSync(name);
  // A read-only overlay needs two lower directories.
  if (linked.length === 0 || (root.upper === undefined && linked.length === 1)) {
    fs.mkdirSync(`${name}empty`);
    linked.push(`${name}empty`);
  }
  const upper =
    root.upper === undefined || root.work === undefined
      ? ""
      : `,upperdir=${link(root.upper, `${name}upper`)},workdir=${link(root.work, `${name}work`)}`;
  try {
    sys.mount("overlay", name, "overlay", quiet, `lowerdir=${linked.join(":")}${upper},${overlayOptions}`);
  } catch (error) {
    throw toGantryError(error, `mount an overlay of ${root.lowers.length} layers`);
  }
}

function link(path: string, name: string): string {
  fs.symlinkSync(path, name);
  return name;
}

/** Makes the layers below a new one readable at `parent/` in the scratch directory. */
export function mountParents(sys: Sys, parents: readonly string[]): void {
  mountOverlay(sys, "parent", { lowers: parents });
}

/** From here on `/` is the tree, and links inside it lead nowhere else. */
export function enterRoot(sys: Sys, root: TreeRoot): void {
  if ("dir" in root) return enterDirectory(sys, root.dir);
  if ("process" in root) return enterProcess(sys, root.process);
  mountOverlay(sys, "root", root);
  sys.chroot("root");
  process.chdir("/");
}

function enterDirectory(sys: Sys, dir: string): void {
  enterLayer(sys, dir);
  process.chdir("/");
}

/** Mounts of another mount namespace cannot be bound here, but its root can be entered. */
function enterProcess(sys: Sys, { pid, startTime }: ProcessName): void {
  const { O_DIRECTORY, O_RDONLY } = fs.constants;
  try {
    const root = fs.openSync(`/proc/${pid}/root`, O_RDONLY | O_DIRECTORY);
    // Looked at behind the open: an equal start time says that the root is that process's and not a successor's.
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
    if (stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] !== startTime) {
      throw new GantryError("conflict", `process ${pid} has ended`);
    }
    sys.chroot(`/proc/self/fd/${root}`);
    fs.closeSync(root);
  } catch (error) {
    throw toGantryError(error, `enter the root of process ${pid}`);
  }
  process.chdir("/");
}

/**
 * Only the root changes; the working directory stays in scratch. So absolute paths are the tree's and `parent/…` is what
 * lies below it; the latter must be walked without following links.
 */
export function enterLayer(sys: Sys, dir: string): void {
  try {
    fs.mkdirSync("root");
    sys.mount(dir, "root", "", Number(mountFlags.MS_BIND), "");
    sys.mount("", "root", "", Number(mountFlags.MS_BIND | mountFlags.MS_REMOUNT) | quiet, "");
    sys.chroot("root");
  } catch (error) {
    throw toGantryError(error, `enter ${dir}`);
  }
}
