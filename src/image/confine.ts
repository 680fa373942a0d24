/**
 * How a child shuts itself in. Without network and with few rights it begins (`confinedCommand`); it then makes a mount
 * namespace of its own, changes its root, and gives up what it needed for that. The latter act on the calling thread only,
 * so that all that follows must be blocking calls on this thread. What is mounted here vanishes with the process.
 */
import * as fs from "node:fs";
import { dirname } from "node:path";
import { capabilityNames, cloneFlags, initProgram, mountFlags, type Sys } from "../kernel/index.ts";
import { GantryError, toGantryError } from "../lib/index.ts";
import type { OverlayRoot, ProcessName, TreeMount, TreeRoot } from "./child-request.ts";

/** Overlay features that would hide content from a reader of single layers are off. */
const overlayOptions = "redirect_dir=off,metacopy=off,index=off";
/** Nothing in the tree can be run or act as a device by being opened here. */
const quiet = Number(mountFlags.MS_NODEV | mountFlags.MS_NOSUID | mountFlags.MS_NOEXEC);
/** The kernel stacks no more. */
const maxLowers = 500;

/** What reading a tree needs: any file, and the attributes of overlayfs (trusted.*), which CAP_SYS_ADMIN shows. */
const readRights = ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN"];
const writeRights = ["CAP_CHOWN", "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD", "CAP_SETFCAP"];

/** What getting into a tree needs before that; of another process's root also to look into that process. */
const enterRights = ["CAP_SYS_CHROOT", "CAP_SETPCAP"];
const processRights = ["CAP_SYS_PTRACE"];

function maskOf(names: readonly string[]): bigint {
  return names.reduce((mask, name) => mask | (1n << BigInt(capabilityNames.indexOf(name))), 0n);
}

/**
 * The command that starts a child: gantry-init gives up network and rights and becomes the child, so that it holds for all
 * of its threads. It is named by this process's number, since gantry-init is `self` on the way. Half a millisecond.
 */
export function confinedCommand(sys: Sys, command: readonly string[], isProcess: boolean): string[] {
  const [program = "", ...rest] = command;
  const keep = maskOf([...readRights, ...writeRights, ...enterRights, ...(isProcess ? processRights : [])]);
  const here = `/proc/${process.pid}`;
  const become = program === "/proc/self/exe" ? `${here}/exe` : program;
  return [`${here}/fd/${initProgram(sys)}`, "confine", keep.toString(16), "--", become, ...rest];
}

/** Gives up, for good, all that the work in the tree does not need: among it to change the root once more. */
function limitRights(sys: Sys, access: "read" | "write"): void {
  sys.limitRights(maskOf(access === "read" ? readRights : [...readRights, ...writeRights]));
}

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
function mountOverlay(sys: Sys, name: string, root: OverlayRoot, target = name): void {
  if (root.lowers.length > maxLowers) {
    throw new GantryError(
      "unsupported",
      `an image may have at most ${maxLowers} layers, this one has ${root.lowers.length}`,
    );
  }
  const linked = root.lowers.map((path, i) => link(path, `${name}${i}`));
  if (target === name) fs.mkdirSync(name);
  // A read-only overlay needs two lower directories.
  for (const least = root.upper === undefined ? 2 : 1; linked.length < least;) {
    const empty = `${name}empty${linked.length}`;
    fs.mkdirSync(empty);
    linked.push(empty);
  }
  const upper =
    root.upper === undefined || root.work === undefined
      ? ""
      : `,upperdir=${link(root.upper, `${name}upper`)},workdir=${link(root.work, `${name}work`)}`;
  try {
    sys.mount("overlay", target, "overlay", quiet, `lowerdir=${linked.join(":")}${upper},${overlayOptions}`);
  } catch (error) {
    throw toGantryError(error, `mount an overlay of ${root.lowers.length} layers`);
  }
}

function link(path: string, name: string): string {
  fs.symlinkSync(path, name);
  return name;
}

/** From here on `/` is the tree, and links inside it lead nowhere else. */
export function enterRoot(sys: Sys, root: TreeRoot, access: "read" | "write"): void {
  if ("dir" in root) bindRoot(sys, root.dir);
  else if ("process" in root) enterProcess(sys, root.process);
  else mountOverlay(sys, "root", access === "read" ? forReading(root) : root);
  const placed = "lowers" in root ? bindSources(sys, root.mounts ?? []) : [];
  if (!("process" in root)) sys.chroot("root");
  for (const mount of placed) placeInside(sys, mount);
  process.chdir("/");
  limitRights(sys, access);
}

/** A mount whose source is bound to a name of the working directory, which stays outside of the root until `chdir`. */
interface PlacedMount {
  readonly name: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly isDirectory: boolean;
}

/** What is not there is left out. */
function bindSources(sys: Sys, mounts: readonly TreeMount[]): readonly PlacedMount[] {
  return mounts.flatMap(({ source, target, readOnly }, index) => {
    const stat = fs.statSync(source, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const name = `mount${index}`;
    if (stat.isDirectory()) fs.mkdirSync(name);
    else fs.writeFileSync(name, "");
    sys.mount(source, name, "", Number(mountFlags.MS_BIND), "");
    return [{ name, target, readOnly, isDirectory: stat.isDirectory() }];
  });
}

/** Behind chroot the kernel itself looks for the target inside the root, wherever links lead. */
function placeInside(sys: Sys, { name, target, readOnly, isDirectory }: PlacedMount): void {
  const there = fs.statSync(target, { throwIfNoEntry: false });
  if (there === undefined) {
    fs.mkdirSync(isDirectory ? target : dirname(target), { recursive: true, mode: 0o755 });
    if (!isDirectory) fs.writeFileSync(target, "", { flag: "wx", mode: 0o644 });
  } else if (there.isDirectory() !== isDirectory) return;
  sys.mount(name, target, "", Number(mountFlags.MS_BIND), "");
  const flags = Number(mountFlags.MS_BIND | mountFlags.MS_REMOUNT) | quiet;
  sys.mount("", target, "", readOnly ? flags | Number(mountFlags.MS_RDONLY) : flags, "");
}

/** An upper and work directory serve one mount at a time; as one more lower directory the upper one serves any number. */
function readOnly({ lowers, upper }: OverlayRoot): OverlayRoot {
  return { lowers: upper === undefined ? lowers : [upper, ...lowers] };
}

/** Where something is mounted upon the tree, targets may have to be made: in a directory that goes with this process. */
function forReading(root: OverlayRoot): OverlayRoot {
  if (root.mounts === undefined || root.mounts.length === 0) return readOnly(root);
  for (const name of ["upper", "work"]) fs.mkdirSync(name);
  return { ...readOnly(root), upper: "upper", work: "work" };
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
}

/** As enterRoot of a directory, but with what lies below the layer mounted inside it while `leaveParents` is not called. */
export function enterLayer(sys: Sys, dir: string, parents: readonly string[]): void {
  bindRoot(sys, dir);
  if (parents.length > 0) {
    keepingTimes(sys, "root", () => fs.mkdirSync(`root${parentsDir}`));
    mountOverlay(sys, "parent", { lowers: parents }, `root${parentsDir}`);
  }
  sys.chroot("root");
  process.chdir("/");
  limitRights(sys, "write");
}

/** Where the layers below are readable inside the layer. No archive can make this name: it is one of the ignored ones. */
export const parentsDir = "/.wh..wh.parents";

/** Takes the layers below out again. Nothing of them is in the layer then. */
export function leaveParents(sys: Sys): void {
  if (!fs.existsSync(parentsDir)) return;
  sys.umount(parentsDir, 0);
  keepingTimes(sys, "/", () => fs.rmdirSync(parentsDir));
}

function keepingTimes(sys: Sys, dir: string, work: () => void): void {
  const { atimeNs, mtimeNs } = fs.lstatSync(dir, { bigint: true });
  work();
  sys.setTimes(dir, atimeNs, mtimeNs);
}

function bindRoot(sys: Sys, dir: string): void {
  try {
    fs.mkdirSync("root");
    sys.mount(dir, "root", "", Number(mountFlags.MS_BIND), "");
    sys.mount("", "root", "", Number(mountFlags.MS_BIND | mountFlags.MS_REMOUNT) | quiet, "");
  } catch (error) {
    throw toGantryError(error, `enter ${dir}`);
  }
}
