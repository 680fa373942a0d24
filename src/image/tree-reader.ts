/**
 * Makes a tar of files in a tree: runs in a confined child whose root is the tree. Sorted, owners by number, times in whole
 * seconds, no names of users: the same tree gives the same bytes, always. The digests of layers made here rest on it: a
 * change of one byte of the output would break every stored image (tree-reader.test.ts pins it).
 */
import * as fs from "node:fs";
import {
  fsName,
  GantryError,
  isErrno,
  tarHeader,
  tarPadding,
  tarTrailer,
  type TarEntryInput,
  type TarType,
  toGantryError,
  linkTarget,
  namesIn,
} from "../lib/index.ts";
import type { Sys } from "../kernel/index.ts";
import type { Owner } from "./child-request.ts";
import { layerName, whiteoutName } from "./tree-path.ts";

export interface TreeReaderOptions {
  readonly sys: Pick<Sys, "listXattrs" | "getXattr">;
  /** Translate overlay's whiteouts and opaque directories to those of layers; else every file is taken as it is. */
  readonly whiteouts: boolean;
  /** Takes the bytes; they are only valid during the call. */
  readonly write: (bytes: Uint8Array) => void;
  /** Paths in the tree that are left out with all below them, without slash at either end. */
  readonly exclude?: ReadonlySet<string> | undefined;
  /** Instead of the files' own. */
  readonly owner?: Owner | undefined;
  readonly mode?: number | undefined;
}

export interface TarSummary {
  readonly entries: number;
  /** Bytes of content. */
  readonly bytes: number;
}

type Stat = fs.BigIntStats;

/** A file: where it is and its name in the archive. */
interface Place {
  readonly path: string;
  readonly name: string;
  /** The caller named it: a link at the very path is looked through. */
  readonly follow?: true;
}

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;
const nanosPerSecond = 1_000_000_000n;
/** Holes are stored as zeros: a file with more of them than this would fill every disk it is saved to. */
const maxFileBytes = 2 ** 40;

export class TreeReader {
  readonly #options: TreeReaderOptions;
  readonly #buffer = Buffer.allocUnsafeSlow(1 << 20);
  /** First name of each file with several names, by device and inode. */
  readonly #links = new Map<string, string>();
  #entries = 0;
  #bytes = 0;

  constructor(options: TreeReaderOptions) {
    this.#options = options;
  }

  /** A whole tree below the directory `path`, its root entry first: a layer. */
  addRoot(path: string): void {
    const stat = statOf(path, false);
    this.#emit({ ...this.#describe({ path, name: "." }, stat), path: "./" });
    this.#walk(this.#children({ path, name: "" }));
  }

  /** One file or directory tree by the name `as`; a link at the very path is followed. */
  add(path: string, as: string, contentsOnly: boolean): void {
    const stat = statOf(path, true);
    const place: Place = { path, name: as, follow: true };
    if (!stat.isDirectory()) return void this.#visit(place, stat);
    if (!contentsOnly) this.#visit(place, stat);
    this.#walk(this.#children(place));
  }

  /** Writes the end of the archive. */
  finish(): TarSummary {
    this.#options.write(tarTrailer);
    return { entries: this.#entries, bytes: this.#bytes };
  }

  #walk(stack: Place[]): void {
    for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
      if (this.#visit(place, statOf(place.path, false))) stack.push(...this.#children(place));
    }
  }

  /** The files in a directory, last first, so that the stack gives them in order. */
  #children({ path, name }: Place): Place[] {
    const dir = path.endsWith("/") ? path : `${path}/`;
    const places: Place[] = [];
    for (const child of namesIn(dir).sort().reverse()) {
      const full = dir + child;
      if (this.#options.exclude?.has(full.replace(/^\/+/, "")) === true) continue;
      places.push({ path: full, name: name === "" ? child : `${name}/${child}` });
    }
    return places;
  }

  /** Writes one entry; true for a directory, whose content comes next. */
  #visit(place: Place, stat: Stat): boolean {
    const base = place.path.slice(place.path.lastIndexOf("/") + 1);
    if (this.#options.whiteouts) {
      if (stat.isCharacterDevice() && stat.rdev === 0n) {
        const path = place.name.slice(0, place.name.length - base.length) + whiteoutName(base);
        this.#emit({ path, type: "file", mode: 0o600 });
        return false;
      }
      if (layerName(base).kind !== "plain") {
        throw new GantryError(
          "unsupported",
          `the file name ${JSON.stringify(place.name)} cannot be stored in a layer: .wh. is reserved`,
        );
      }
    }
    // Sockets have no meaning outside of the process that made them.
    if (stat.isSocket()) return false;
    const entry = this.#describe(place, stat);
    if (entry.type === "file") this.#file(place, entry, stat);
    else this.#emit(entry);
    if (entry.type === "dir") this.#opaque(place);
    return entry.type === "dir";
  }

  #emit(entry: TarEntryInput): void {
    this.#entries++;
    this.#options.write(tarHeader(entry));
  }

  #opaque({ path, name }: Place): void {
    if (!this.#options.whiteouts || this.#xattr(path, "trusted.overlay.opaque") !== "y") return;
    this.#emit({ path: `${name}/.wh..wh..opq`, type: "file", mode: 0o600 });
  }

  #describe({ path, name }: Place, stat: Stat): TarEntryInput {
    const shared = !stat.isDirectory() && stat.nlink > 1n ? this.#linkTarget(name, stat) : undefined;
    const type = shared === undefined ? typeOf(name, stat) : "hardlink";
    const { owner, mode } = this.#options;
    const node = type === "char" || type === "block";
    return {
      path: name,
      type,
      mode: mode !== undefined && type !== "symlink" ? mode : Number(stat.mode & 0o7777n),
      uid: owner?.uid ?? Number(stat.uid),
      gid: owner?.gid ?? Number(stat.gid),
      size: type === "file" ? Number(stat.size) : 0,
      mtimeNs: wholeSeconds(stat.mtimeNs),
      linkPath: shared ?? (type === "symlink" ? linkTarget(path) : ""),
      devMajor: node ? major(stat.rdev) : 0,
      devMinor: node ? minor(stat.rdev) : 0,
      xattrs: type === "hardlink" ? new Map() : this.#xattrs(path),
    };
  }

  #linkTarget(name: string, stat: Stat): string | undefined {
    const key = `${stat.dev}:${stat.ino}`;
    const first = this.#links.get(key);
    if (first === undefined) this.#links.set(key, name);
    return first;
  }

  #xattr(path: string, name: string): string | undefined {
    try {
      return Buffer.from(this.#options.sys.getXattr(fsName(path), name)).toString();
    } catch (error) {
      if (isErrno(error, "ENODATA", "ENOTSUP", "EOPNOTSUPP")) return undefined;
      throw error;
    }
  }

  #xattrs(path: string): Map<string, Uint8Array> {
    const found = new Map<string, Uint8Array>();
    for (const name of listXattrs(this.#options.sys, path)) {
      if (name === "trusted.overlay.redirect" || name === "trusted.overlay.metacopy") {
        throw new GantryError("unsupported", `${path} was moved or copied up by name only`, {
          hint: "mount overlays with redirect_dir=off,metacopy=off",
        });
      }
      // Labels are of this machine; overlay's own attributes are of this mount.
      if (name.startsWith("trusted.overlay.") || name === "security.selinux") continue;
      found.set(name, this.#options.sys.getXattr(fsName(path), name));
    }
    return found;
  }

  #file(place: Place, entry: TarEntryInput, stat: Stat): void {
    const size = Number(stat.size);
    if (size > maxFileBytes) {
      throw new GantryError("unsupported", `${place.name} is larger than ${maxFileBytes} bytes`, {
        hint: "it is most likely a sparse file, such as /var/log/lastlog; remove it",
      });
    }
    const fd = openFile(place);
    try {
      const opened = fs.fstatSync(fd, { bigint: true });
      if (!opened.isFile() || opened.ino !== stat.ino || opened.dev !== stat.dev) {
        throw new GantryError("conflict", `${place.name} was replaced while it was read`);
      }
      this.#emit(entry);
      this.#content(place, fd, size);
    } finally {
      fs.closeSync(fd);
    }
    this.#bytes += size;
    this.#options.write(tarPadding(size));
  }

  #content(place: Place, fd: number, size: number): void {
    for (let left = size; left > 0;) {
      const count = fs.readSync(fd, this.#buffer, 0, Math.min(left, this.#buffer.length), null);
      if (count === 0) throw new GantryError("conflict", `${place.name} became shorter while it was read`);
      this.#options.write(this.#buffer.subarray(0, count));
      left -= count;
    }
  }
}

/** Never waits for a fifo, and never opens what replaced a file since it was looked at through a link. */
function openFile({ path, name, follow }: Place): number {
  try {
    return fs.openSync(fsName(path), O_RDONLY | O_NONBLOCK | (follow === true ? 0 : O_NOFOLLOW));
  } catch (error) {
    throw toGantryError(error, `read ${name}`);
  }
}

/** @param follow look through a link at the path itself */
function statOf(path: string, follow: boolean): Stat {
  try {
    return (follow ? fs.statSync : fs.lstatSync)(fsName(path), { bigint: true });
  } catch (error) {
    throw toGantryError(error, `look at ${path}`);
  }
}

/** Rounded down, before 1970 as well. */
function wholeSeconds(nanos: bigint): bigint {
  const rest = nanos % nanosPerSecond;
  return nanos - (rest < 0n ? rest + nanosPerSecond : rest);
}

function listXattrs(sys: Pick<Sys, "listXattrs">, path: string): readonly string[] {
  try {
    return [...sys.listXattrs(fsName(path))].sort();
  } catch (error) {
    if (isErrno(error, "ENOTSUP", "EOPNOTSUPP")) return [];
    throw error;
  }
}

function typeOf(name: string, stat: Stat): TarType {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "dir";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isCharacterDevice()) return "char";
  if (stat.isBlockDevice()) return "block";
  if (stat.isFIFO()) return "fifo";
  throw new GantryError("unsupported", `${name} is of an unknown type`);
}

/** As glibc's gnu_dev_major. */
function major(device: bigint): number {
  return Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n));
}

function minor(device: bigint): number {
  return Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n));
}
