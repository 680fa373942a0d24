/**
 * Applies tar events to the tree below `/`: runs in the confined child, whose root is the target. Only blocking calls, so
 * that all of them happen on the confined thread. Whatever exists is replaced, never opened: a device or fifo that the
 * archive made cannot be touched by its next entry.
 */
import * as fs from "node:fs";
import {
  fsName,
  GantryError,
  isErrno,
  messageOf,
  type TarEntry,
  type TarEvent,
  toGantryError,
  linkTarget,
  namesIn,
  tryStat,
} from "../lib/index.ts";
import type { Owner } from "./child-request.ts";
import type { Sys } from "../kernel/index.ts";
import { boundedTime, maxHops, noSpaceFor, rootIsNoDirectory } from "./tree-refusals.ts";
import { LateLinks, linkError } from "./late-links.ts";
import { archivePath, layerName, linkedPath } from "./tree-path.ts";

export interface TreeWriterOptions {
  readonly sys: Pick<Sys, "mknod" | "setXattr" | "setTimes" | "getXattr" | "listXattrs">;
  /**
   * A layer: whiteouts become overlay's own, and a later entry replaces what an earlier one made. Else a living tree:
   * names mean themselves, links to directories are kept, and no file takes a directory's place.
   */
  readonly layer: boolean;
  /** Most bytes of content. */
  readonly maxBytes: number;
  /** Absolute path that the archive's paths are below: "" for the root. */
  readonly base?: string;
  /** Instead of the archive's. */
  readonly owner?: Owner | undefined;
  /** Where the layers below are readable: hard links may lead there. */
  readonly below?: string | undefined;
}

export interface TreeSummary {
  readonly entries: number;
  readonly bytes: number;
  /** Directories that no entry described; "" is the root. */
  readonly implied: readonly string[];
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;
const nodeTypes = { char: 0o020000, block: 0o060000, fifo: 0o010000 } as const;
const opaqueXattr = "trusted.overlay.opaque";
const opaqueValue: Buffer = Buffer.from("y");

export class TreeWriter {
  readonly #options: TreeWriterOptions;
  readonly #implied = new Set<string>([""]);
  /** Set when all else is done: what is made inside a directory changes its time. */
  readonly #dirTimes = new Map<string, bigint>();
  /** The parent of the last entry, found to be without links that lead outside. */
  #lastParent: string | undefined;
  readonly #lateLinks = new LateLinks();
  /** Links of this archive in a living tree, by inode. */
  readonly #ownLinks = new Set<number>();
  #entries = 0;
  #bytes = 0;
  #file: { readonly fd: number; readonly path: string; written: number } | undefined;

  constructor(options: TreeWriterOptions) {
    this.#options = options;
  }

  /** @throws {GantryError} that names the entry */
  apply(event: TarEvent): void {
    try {
      this.#apply(event);
    } catch (error) {
      if (error instanceof GantryError) throw error;
      if (isErrno(error, "ENOSPC", "EDQUOT")) throw noSpaceFor(event.entry, error);
      const refused = isErrno(error, "ENAMETOOLONG", "EINVAL", "ELOOP", "ENOTDIR");
      const doing = `unpack ${JSON.stringify(event.entry.path)}`;
      throw refused
        ? new GantryError("corrupt", `${doing}: ${messageOf(error)}`, { cause: error })
        : toGantryError(error, doing);
    }
  }

  #apply(event: TarEvent): void {
    switch (event.kind) {
      case "entry":
        return this.#begin(event.entry);
      case "data":
        return this.#write(event.offset, event.bytes);
      case "end":
        return this.#end(event.entry);
    }
  }

  finish(): TreeSummary {
    this.#lateLinks.finish({
      sys: this.#options.sys,
      below: this.#options.below,
      pathOf: (parts) => this.#path(parts),
      prepare: (parts, bytes) => this.#prepare(parts, bytes),
    });
    for (const [path, timeNs] of [...this.#dirTimes].reverse()) {
      // A later entry may have replaced the directory.
      if (isDirectory(path)) this.#options.sys.setTimes(fsName(path), timeNs, timeNs);
    }
    return { entries: this.#entries, bytes: this.#bytes, implied: [...this.#implied] };
  }

  #begin(entry: TarEntry): void {
    this.#entries++;
    const parts = archivePath(entry.path);
    const name = parts.at(-1);
    if (name === undefined) return this.#root(entry);
    const parent = parts.slice(0, -1);
    this.#refuseLinks(parent, entry.path);
    this.#makeParents(parent);
    if (this.#options.layer && this.#whiteout(parent, name)) return;
    const path = this.#path(parts);
    // A link to a directory stands for it, and keeps what it points to as it is.
    if (!this.#options.layer && entry.type === "dir" && isLinkToDirectory(path)) return;
    this.#make(entry, path);
    if (entry.type !== "file" && entry.type !== "hardlink") this.#dress(entry, path);
    if (entry.type === "dir") this.#implied.delete(parts.join("/"));
  }

  #path(parts: readonly string[]): string {
    return `${this.#options.base ?? ""}/${parts.join("/")}`;
  }

  #root(entry: TarEntry): void {
    if (entry.type !== "dir") throw rootIsNoDirectory();
    this.#implied.delete("");
    this.#dress(entry, this.#path([]));
  }

  /**
   * No entry is made through a link of the archive that leads outside of it; the chroot would keep it inside the tree, but
   * it is no honest archive. Links that a living tree had before are its own and may lead anywhere inside it.
   */
  #refuseLinks(parent: readonly string[], entry: string): void {
    const key = parent.join("/");
    if (key === this.#lastParent) return;
    for (let depth = 1; depth <= parent.length; depth++) {
      let parts = parent.slice(0, depth);
      for (let hops = 0; hops < maxHops; hops++) {
        const path = this.#path(parts);
        const target = readLink(path);
        if (target === undefined || !(this.#options.layer || this.#ownLinks.has(inodeOf(path)))) break;
        parts = [...linkedPath(parts, target, entry)];
      }
    }
    this.#lastParent = key;
  }

  #makeParents(parts: readonly string[]): void {
    const path = this.#path(parts);
    if (parts.length === 0 || isDirectory(path, true)) return;
    this.#makeParents(parts.slice(0, -1));
    // In a layer, a whiteout or file of an earlier entry gives way to the directory that the archive needs.
    const hidden = this.#options.layer && isWhiteout(path);
    this.#replacing(path, () => fs.mkdirSync(fsName(path), 0o755));
    if (hidden) this.#options.sys.setXattr(fsName(path), opaqueXattr, opaqueValue);
    const { owner } = this.#options;
    if (owner !== undefined) fs.lchownSync(fsName(path), owner.uid, owner.gid);
    this.#implied.add(parts.join("/"));
    this.#entries++;
  }

  /** Handles the names that hide files of lower layers; false for a plain name. */
  #whiteout(parent: readonly string[], name: string): boolean {
    const meaning = layerName(name);
    if (meaning.kind === "plain") return false;
    const dir = this.#path(parent);
    // The directory itself, also through a link of the archive.
    if (meaning.kind === "opaque") this.#options.sys.setXattr(fsName(`${dir}/.`), opaqueXattr, opaqueValue);
    else if (meaning.kind === "whiteout") {
      const path = this.#path([...parent, meaning.hides]);
      try {
        this.#options.sys.mknod(fsName(path), nodeTypes.char, 0, 0);
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
        // A whiteout hides lower layers only: what this layer holds itself stays, and hides as a whole.
        if (isDirectory(path)) this.#options.sys.setXattr(fsName(path), opaqueXattr, opaqueValue);
      }
    }
    return true;
  }

  #make(entry: TarEntry, path: string): void {
    switch (entry.type) {
      case "file":
        return this.#open(entry, path);
      case "dir":
        return this.#makeDir(path);
      case "symlink":
        this.#replacing(path, () => fs.symlinkSync(fsName(entry.linkPath), fsName(path)));
        if (!this.#options.layer) this.#ownLinks.add(inodeOf(path));
        return;
      case "hardlink":
        return this.#link(entry, path);
      case "char":
      case "block":
      case "fifo": {
        const kind = nodeTypes[entry.type];
        return this.#replacing(path, () =>
          this.#options.sys.mknod(fsName(path), kind | 0o600, entry.devMajor, entry.devMinor),
        );
      }
    }
  }

  #open(entry: TarEntry, path: string): void {
    if (this.#bytes + entry.size > this.#options.maxBytes) {
      throw noSpaceFor(entry);
    }
    this.#bytes += entry.size;
    this.#replacing(path, () => {
      this.#file = {
        fd: fs.openSync(fsName(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
        path,
        written: 0,
      };
    });
  }

  #makeDir(path: string): void {
    if (isDirectory(path)) return;
    const hidden = this.#options.layer && isWhiteout(path);
    this.#replacing(path, () => fs.mkdirSync(fsName(path), 0o700));
    // The layer hid the lower directory and made a new one: nothing of the old may shine through.
    if (hidden) this.#options.sys.setXattr(fsName(path), opaqueXattr, opaqueValue);
  }

  #link(entry: TarEntry, path: string): void {
    const target = this.#path(archivePath(entry.linkPath));
    // GNU tar writes a file that is named twice on its command line as a link to itself.
    if (target === path && tryStat(path) !== undefined) return;
    try {
      this.#replacing(path, () => fs.linkSync(fsName(target), fsName(path)));
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw linkError(entry, error);
      this.#lateLinks.add(entry, path);
    }
  }

  /** Directories for a file of `bytes` that is brought up from the layers below. */
  #prepare(parent: readonly string[], bytes: number): void {
    const path = parent.join("/");
    if (this.#bytes + bytes > this.#options.maxBytes) throw noSpaceFor({ path, size: bytes });
    this.#bytes += bytes;
    this.#refuseLinks(parent, path);
    this.#makeParents(parent);
  }

  /** Runs `make`; when the path is taken, removes what is there and tries once more. */
  #replacing(path: string, make: () => void): void {
    try {
      make();
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      this.#lastParent = undefined;
      if (!this.#options.layer && isDirectory(path)) {
        throw new GantryError("conflict", `cannot overwrite directory ${path} with a file that is none`, {
          cause: error,
        });
      }
      removeAll(path);
      make();
    }
  }

  #write(offset: number, bytes: Uint8Array): void {
    const file = this.#file;
    if (file === undefined) return;
    for (let at = 0; at < bytes.length;)
      at += fs.writeSync(file.fd, bytes, at, bytes.length - at, offset + at);
    file.written = offset + bytes.length;
  }

  #end(entry: TarEntry): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    if (file.written < entry.size) fs.ftruncateSync(file.fd, entry.size);
    fs.closeSync(file.fd);
    this.#dress(entry, file.path);
  }

  /** Owner first: chown clears set-id bits and file capabilities. */
  #dress(entry: TarEntry, path: string): void {
    const { owner } = this.#options;
    fs.lchownSync(fsName(path), owner?.uid ?? entry.uid, owner?.gid ?? entry.gid);
    if (entry.type !== "symlink") fs.chmodSync(fsName(path), entry.mode);
    for (const [name, value] of entry.xattrs) this.#setXattr(path, name, value);
    if (this.#options.layer && entry.type === "dir" && isOpaque(entry))
      this.#options.sys.setXattr(fsName(path), opaqueXattr, opaqueValue);
    const timeNs = boundedTime(entry.mtimeNs);
    if (entry.type === "dir") this.#dirTimes.set(path, timeNs);
    else this.#options.sys.setTimes(fsName(path), timeNs, timeNs);
  }

  #setXattr(path: string, name: string, value: Uint8Array): void {
    // Overlay's own attributes redirect lookups: never taken from an archive but for the one that hides.
    if (name.startsWith("trusted.overlay.")) return;
    try {
      this.#options.sys.setXattr(fsName(path), name, value);
    } catch (error) {
      // The file system or the security module here lacks the attribute's kind, as peers have it: the file comes without.
      if (!isErrno(error, "ENOTSUP", "EOPNOTSUPP", "EPERM")) throw error;
    }
  }
}

/** Overlay's own spelling of an opaque directory, as tools write it that pack an upper directory as it is. */
function isOpaque({ xattrs }: TarEntry): boolean {
  const value = xattrs.get(opaqueXattr);
  return value !== undefined && opaqueValue.equals(value);
}

function inodeOf(path: string): number {
  return fs.lstatSync(fsName(path)).ino;
}

function isLinkToDirectory(path: string): boolean {
  return tryStat(path)?.isSymbolicLink() === true && isDirectory(path, true);
}

/** @param follow count a symlink to a directory as one */
function isDirectory(path: string, follow = false): boolean {
  return tryStat(path, follow)?.isDirectory() === true;
}

/** The target of a symlink; undefined for all else. */
function readLink(path: string): string | undefined {
  const stat = tryStat(path);
  return stat?.isSymbolicLink() === true ? linkTarget(path) : undefined;
}

function isWhiteout(path: string): boolean {
  const stat = tryStat(path);
  return stat?.isCharacterDevice() === true && stat.rdev === 0;
}

/** Removes a file or a tree without following links. Not recursive in the language: depth is the archive's choice. */
function removeAll(path: string): void {
  const stack = [path];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    if (!isDirectory(top)) {
      fs.unlinkSync(fsName(top));
      stack.pop();
      continue;
    }
    const names = namesIn(top);
    if (names.length === 0) {
      fs.rmdirSync(fsName(top));
      stack.pop();
    } else for (const name of names) stack.push(`${top}/${name}`);
  }
}
