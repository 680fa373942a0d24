/**
 * Applies tar events to a tree in memory by the rules of tree-writer.ts for layers: the last entry of a name wins, links
 * of the archive are followed inside of it, whiteouts become overlay's own. Nothing of the archive is ever opened or made.
 */
import {
  decodeName,
  encodeName,
  GantryError,
  messageOf,
  type TarEntry,
  type TarEvent,
} from "../../lib/index.ts";
import { archivePath, layerName, linkedPath } from "../tree-path.ts";
import { boundedTime, linkToNothing, maxHops, noSpaceFor, rootIsNoDirectory } from "../tree-refusals.ts";
import { ContentMap } from "./content-map.ts";
import { deviceNumber, modeTypes, typeMask } from "./format.ts";
import { type InodeRow, type NodeRow, NodeTable } from "./node-table.ts";
import { LateLinks } from "./late-links.ts";
import { findNode, nameBytes, PathError, tryFindNode } from "./resolve.ts";
import { setArchivedXattr } from "./xattrs.ts";

const opaqueXattr = "trusted.overlay.opaque";
const opaqueValue = Buffer.from("y");
/** PATH_MAX without its end mark and the root's slash. */
const maxPathBytes = 4094;
const maxTargetBytes = 4095;
const setGroupId = 0o2000;

/** A directory that no entry described. */
export interface ImpliedDirectory {
  /** Below the layer's root; "" is the root. */
  readonly path: string;
  readonly node: NodeRow;
}

export class LayerTree {
  readonly table = new NodeTable({ mode: modeTypes.dir | 0o755, uid: 0, gid: 0, mtimeNs: 0n });
  readonly content: ContentMap;
  readonly lateLinks: LateLinks;
  readonly #implied = new Map<string, NodeRow>([["", 0]]);
  readonly #maxBytes: number;
  /** The parent of the last entry: found, and without links that lead outside. */
  #lastParent: { readonly key: string; readonly node: NodeRow } | undefined;
  #file: InodeRow | undefined;
  #entries = 0;
  #bytes = 0;

  /** @param maxBytes most bytes of content */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.content = new ContentMap(this.table);
    this.lateLinks = new LateLinks(this);
  }

  get entries(): number {
    return this.#entries;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get implied(): readonly ImpliedDirectory[] {
    return [...this.#implied].map(([path, node]) => ({ path, node }));
  }

  /**
   * @param position of a data event's bytes in the archive
   * @throws {GantryError} that names the entry
   */
  apply(event: TarEvent, position: number): void {
    try {
      this.#apply(event, position);
    } catch (error) {
      if (error instanceof GantryError) throw error;
      throw new GantryError("corrupt", `unpack ${JSON.stringify(event.entry.path)}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #apply(event: TarEvent, position: number): void {
    switch (event.kind) {
      case "entry":
        return this.#begin(event.entry);
      case "data":
        if (this.#file !== undefined) this.content.add(event.offset, position, event.bytes.length);
        return;
      case "end":
        if (this.#file === undefined) return;
        this.content.finish(this.#file, event.entry.size);
        this.#file = undefined;
    }
  }

  #begin(entry: TarEntry): void {
    this.#entries++;
    const parts = archivePath(entry.path);
    const last = parts.at(-1);
    if (last === undefined) return this.#root(entry);
    if (encodeName(entry.path).length > maxPathBytes) throw new PathError("ENAMETOOLONG", entry.path);
    const parent = this.parent(parts.slice(0, -1), entry);
    if (this.#whiteout(parent, last)) return;
    const made = this.#make(entry, { parent, name: nameBytes(last), path: parts });
    if (made !== undefined && entry.type === "dir") this.#implied.delete(parts.join("/"));
  }

  #root(entry: TarEntry): void {
    if (entry.type !== "dir") throw rootIsNoDirectory();
    this.#implied.delete("");
    this.#dress(entry, this.table.inode(this.table.root), modeTypes.dir);
  }

  /** A directory, made with those above it when it is not there; `entry` is what needs it. */
  parent(parts: readonly string[], entry: Pick<TarEntry, "path" | "mtimeNs">): NodeRow {
    const key = parts.join("/");
    if (this.#lastParent?.key === key) return this.#lastParent.node;
    this.#refuseLinks(parts, entry.path);
    const node = this.#makeParents(parts, entry);
    this.#lastParent = { key, node };
    return node;
  }

  /** No entry is made through a link of the archive that leads outside of it. */
  #refuseLinks(parent: readonly string[], entry: string): void {
    for (let depth = 1, at: NodeRow | undefined = this.table.root; depth <= parent.length; depth++) {
      // Without links on the way the next name is in the directory at hand; behind a link all is looked up anew.
      const part: string = parent[depth - 1] ?? "";
      if (at !== undefined) {
        at = this.table.child(at, nameBytes(part));
        if (at === undefined) return;
        if (this.#type(at) === modeTypes.dir) continue;
        at = undefined;
      }
      let parts = parent.slice(0, depth);
      for (let hops = 0; hops < maxHops; hops++) {
        const node = tryFindNode(this.table, parts, false);
        if (node === undefined || this.#type(node) !== modeTypes.symlink) break;
        const target = decodeName(this.table.target(this.table.inode(node)));
        parts = [...linkedPath(parts, target, entry)];
      }
    }
  }

  #makeParents(parts: readonly string[], entry: Pick<TarEntry, "mtimeNs">): NodeRow {
    let at = this.table.root;
    for (let depth = 1; depth <= parts.length; depth++) {
      const name = nameBytes(parts[depth - 1] ?? "");
      const found = this.table.child(at, name);
      if (found !== undefined && this.#type(found) === modeTypes.dir) {
        at = found;
        continue;
      }
      const linked = found === undefined ? undefined : tryFindNode(this.table, parts.slice(0, depth), true);
      at =
        linked !== undefined && this.#type(linked) === modeTypes.dir
          ? linked
          : this.#implyDirectory(at, name, { path: parts.slice(0, depth).join("/"), entry });
    }
    return at;
  }

  #implyDirectory(
    parent: NodeRow,
    name: Buffer,
    { path, entry }: { readonly path: string; readonly entry: Pick<TarEntry, "mtimeNs"> },
  ): NodeRow {
    const mtimeNs = boundedTime(entry.mtimeNs);
    const above = this.table.stat(this.table.inode(parent));
    // As mkdir(2): the group of a directory with the set-group-id bit is inherited, and the bit with it.
    const inherited = above.mode & setGroupId;
    const mode = modeTypes.dir | 0o755 | inherited;
    const gid = inherited === 0 ? 0 : above.gid;
    const node = this.#newDirectory(parent, name, { mode, uid: 0, gid, mtimeNs });
    this.#implied.set(path, node);
    this.#entries++;
    return node;
  }

  /** A whiteout or file of an earlier entry gives way; where the layer hid a lower directory nothing of it may shine through. */
  #newDirectory(parent: NodeRow, name: Buffer, fields: Parameters<NodeTable["addInode"]>[0]): NodeRow {
    const before = this.table.child(parent, name);
    const hidden = before !== undefined && this.#isWhiteout(before);
    const inode = this.table.addInode(fields);
    if (hidden) this.table.setXattr(inode, opaqueXattr, opaqueValue);
    return this.#put(parent, name, inode);
  }

  /** Handles the names that hide files of lower layers; false for a plain name. */
  #whiteout(parent: NodeRow, name: string): boolean {
    const meaning = layerName(name);
    if (meaning.kind === "plain") return false;
    if (meaning.kind === "opaque") {
      this.table.setXattr(this.table.inode(parent), opaqueXattr, opaqueValue);
    } else if (meaning.kind === "whiteout") {
      const hides = nameBytes(meaning.hides);
      const before = this.table.child(parent, hides);
      if (before === undefined) {
        const whiteout = this.table.addInode({ mode: modeTypes.char, uid: 0, gid: 0, mtimeNs: 0n });
        this.table.add(parent, hides, whiteout);
      } else if (this.#type(before) === modeTypes.dir) {
        // A whiteout hides lower layers only: what this layer holds itself stays, and hides as a whole.
        this.table.setXattr(this.table.inode(before), opaqueXattr, opaqueValue);
      }
    }
    return true;
  }

  /** @returns the inode that is new or newly described; undefined for a link to itself */
  #make(
    entry: TarEntry,
    {
      parent,
      name,
      path,
    }: { readonly parent: NodeRow; readonly name: Buffer; readonly path: readonly string[] },
  ): InodeRow | undefined {
    if (entry.type === "hardlink") return this.#link(entry, { parent, name, path });
    if (entry.type === "dir") {
      const before = this.table.child(parent, name);
      const isThere = before !== undefined && this.#type(before) === modeTypes.dir;
      const node = isThere ? before : this.#newDirectory(parent, name, fieldsOf(entry, modeTypes.dir));
      return this.#dress(entry, this.table.inode(node), modeTypes.dir);
    }
    if (entry.type === "file") this.reserve(entry);
    const type = modeTypes[entry.type];
    const inode = this.table.addInode(fieldsOf(entry, type));
    if (entry.type === "symlink") this.table.setTarget(inode, targetBytes(entry));
    if (entry.type === "char" || entry.type === "block")
      this.table.setContent(inode, deviceNumber(entry.devMajor, entry.devMinor), 0);
    this.#put(parent, name, inode);
    if (entry.type === "file") this.#file = inode;
    return this.#dress(entry, inode, type);
  }

  /** @throws {GantryError} "exhausted" */
  reserve(entry: Pick<TarEntry, "path" | "size">): void {
    if (this.#bytes + entry.size > this.#maxBytes) throw noSpaceFor(entry);
    this.#bytes += entry.size;
  }

  #link(
    entry: TarEntry,
    {
      parent,
      name,
      path,
    }: { readonly parent: NodeRow; readonly name: Buffer; readonly path: readonly string[] },
  ): InodeRow | undefined {
    const parts = archivePath(entry.linkPath);
    const before = this.table.child(parent, name);
    // GNU tar writes a file that is named twice on its command line as a link to itself.
    if (before !== undefined && parts.join("/") === path.join("/")) return undefined;
    if (before !== undefined && this.#linkTarget(entry, parts) !== undefined) this.#remove(before);
    // What gave way may have been the target, or on the way to it.
    const target = this.#linkTarget(entry, parts);
    if (target === undefined) this.lateLinks.add(entry, path);
    else this.link(entry, { parent, name }, target);
    return undefined;
  }

  /** Another name for a file. */
  link(
    entry: Pick<TarEntry, "path" | "linkPath">,
    { parent, name }: { readonly parent: NodeRow; readonly name: Buffer },
    target: NodeRow,
  ): void {
    if (this.#type(target) === modeTypes.dir) throw linkToNothing(entry);
    this.#put(parent, name, this.table.inode(target));
  }

  #linkTarget(entry: TarEntry, parts: readonly string[]): NodeRow | undefined {
    try {
      return findNode(this.table, parts, false);
    } catch (cause) {
      throw linkToNothing(entry, cause);
    }
  }

  /** Instead of what has the name. */
  #put(parent: NodeRow, name: Buffer, inode: InodeRow): NodeRow {
    const before = this.table.child(parent, name);
    if (before !== undefined) this.#remove(before);
    return this.table.add(parent, name, inode);
  }

  #remove(node: NodeRow): void {
    this.table.remove(node);
    this.#lastParent = undefined;
  }

  #dress(entry: TarEntry, inode: InodeRow, type: number): InodeRow {
    this.table.dress(inode, fieldsOf(entry, type));
    for (const [name, value] of entry.xattrs) setArchivedXattr(this.table, inode, name, value);
    if (entry.type === "dir" && isOpaque(entry)) this.table.setXattr(inode, opaqueXattr, opaqueValue);
    return inode;
  }

  #type(node: NodeRow): number {
    return this.table.mode(this.table.inode(node)) & typeMask;
  }

  #isWhiteout(node: NodeRow): boolean {
    return this.#type(node) === modeTypes.char && this.table.place(this.table.inode(node)) === 0;
  }
}

/** Overlay's own spelling of an opaque directory, as tools write it that pack an upper directory as it is. */
function isOpaque({ xattrs }: TarEntry): boolean {
  const value = xattrs.get(opaqueXattr);
  return value !== undefined && opaqueValue.equals(value);
}

function fieldsOf(entry: TarEntry, type: number): Parameters<NodeTable["addInode"]>[0] {
  // A link has no mode of its own.
  const mode = type === modeTypes.symlink ? 0o777 : entry.mode & 0o7777;
  return { mode: type | mode, uid: entry.uid, gid: entry.gid, mtimeNs: boundedTime(entry.mtimeNs) };
}

function targetBytes(entry: TarEntry): Buffer {
  const bytes = encodeName(entry.linkPath);
  if (bytes.length === 0) throw new PathError("ENOENT", entry.path);
  if (bytes.length > maxTargetBytes) throw new PathError("ENAMETOOLONG", entry.path);
  return bytes;
}
