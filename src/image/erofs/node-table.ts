/**
 * The tree of a layer while its archive is read: names (a parent, a name, an inode) and inodes, in columns. About 60 bytes
 * a name and 50 an inode, and the names' own bytes. A removed name leaves its row; what was below it cannot be reached any
 * more, and is not written.
 */
import { Arena, Column } from "./columns.ts";

/** Rows of either table. */
export type NodeRow = number;
export type InodeRow = number;

export interface NewInode {
  /** With type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
}

export type Xattrs = ReadonlyMap<string, Uint8Array>;

const billion = 1_000_000_000n;
const none = -1;

export class NodeTable {
  readonly root: NodeRow = 0;
  readonly #parent = new Column("i32");
  readonly #inode = new Column("i32");
  readonly #nameAt = new Column("u32");
  readonly #nameLength = new Column("u8");
  readonly #gone = new Column("u8");
  /** Names by hash of parent and name: the head of a chain by bucket, and the next in the chain by name. */
  readonly #next = new Column("i32");
  #heads = new Int32Array(2048).fill(none);
  readonly #names = new Arena();
  #nodes = 0;

  readonly #mode = new Column("u16");
  readonly #uid = new Column("u32");
  readonly #gid = new Column("u32");
  readonly #seconds = new Column("f64");
  readonly #nanoseconds = new Column("u32");
  readonly #size = new Column("f64");
  readonly #place = new Column("f64");
  readonly #targets = new Arena();
  readonly #xattrs = new Map<InodeRow, Xattrs>();
  #inodes = 0;

  constructor(root: NewInode) {
    this.#append(none, Buffer.alloc(0), this.addInode(root));
  }

  get nodeCount(): number {
    return this.#nodes;
  }

  get inodeCount(): number {
    return this.#inodes;
  }

  // Names

  child(parent: NodeRow, name: Uint8Array): NodeRow | undefined {
    for (let at = this.#heads[this.#bucket(parent, name)] ?? none; at !== none; at = this.#next.get(at)) {
      if (
        this.#parent.get(at) === parent &&
        this.#nameLength.get(at) === name.length &&
        this.#names.equals(this.#nameAt.get(at), name)
      )
        return at;
    }
    return undefined;
  }

  /** The parent must not have the name yet. */
  add(parent: NodeRow, name: Uint8Array, inode: InodeRow): NodeRow {
    if (this.#nodes > this.#heads.length) this.#rehash();
    const row = this.#append(parent, name, inode);
    this.#link(row, this.#bucket(parent, name));
    return row;
  }

  /** With all that is below it. */
  remove(row: NodeRow): void {
    const name = this.name(row);
    const bucket = this.#bucket(this.#parent.get(row), name);
    this.#gone.set(row, 1);
    let before = none;
    for (let at = this.#heads[bucket] ?? none; at !== row && at !== none; at = this.#next.get(at))
      before = at;
    if (before === none) this.#heads[bucket] = this.#next.get(row);
    else this.#next.set(before, this.#next.get(row));
  }

  isGone(row: NodeRow): boolean {
    return this.#gone.get(row) === 1;
  }

  /** The root's is the root. */
  parent(row: NodeRow): NodeRow {
    return Math.max(this.#parent.get(row), this.root);
  }

  inode(row: NodeRow): InodeRow {
    return this.#inode.get(row);
  }

  /** A view that is valid until the next name is added. */
  name(row: NodeRow): Buffer {
    return this.#names.view(this.#nameAt.get(row), this.#nameLength.get(row));
  }

  nameLength(row: NodeRow): number {
    return this.#nameLength.get(row);
  }

  compareNames(a: NodeRow, b: NodeRow): number {
    return this.#names.compare(
      this.#nameAt.get(a),
      this.#nameLength.get(a),
      this.#nameAt.get(b),
      this.#nameLength.get(b),
    );
  }

  #append(parent: NodeRow, name: Uint8Array, inode: InodeRow): NodeRow {
    const row = this.#nodes++;
    this.#parent.set(row, parent);
    this.#inode.set(row, inode);
    this.#nameAt.set(row, this.#names.add(name));
    this.#nameLength.set(row, name.length);
    return row;
  }

  #link(row: NodeRow, bucket: number): void {
    this.#next.set(row, this.#heads[bucket] ?? none);
    this.#heads[bucket] = row;
  }

  #rehash(): void {
    this.#heads = new Int32Array(this.#heads.length * 4).fill(none);
    for (let row = 1; row < this.#nodes; row++) {
      if (!this.isGone(row)) this.#link(row, this.#bucket(this.#parent.get(row), this.name(row)));
    }
  }

  /** FNV-1a over the name, begun with the parent. The table's size is a power of two. */
  #bucket(parent: NodeRow, name: Uint8Array): number {
    let hash = Math.imul(parent ^ seed, 0x9e3779b1);
    for (const byte of name) hash = Math.imul(hash ^ byte, 0x01000193);
    hash ^= hash >>> 15;
    return (Math.imul(hash, 0x85ebca6b) >>> 8) & (this.#heads.length - 1);
  }

  // Inodes

  addInode(fields: NewInode): InodeRow {
    const row = this.#inodes++;
    this.dress(row, fields);
    return row;
  }

  /** Owner, mode and time. */
  dress(row: InodeRow, { mode, uid, gid, mtimeNs }: NewInode): void {
    this.#mode.set(row, mode);
    this.#uid.set(row, uid);
    this.#gid.set(row, gid);
    this.#seconds.set(row, Number(mtimeNs / billion));
    this.#nanoseconds.set(row, Number(mtimeNs % billion));
  }

  mode(row: InodeRow): number {
    return this.#mode.get(row);
  }

  /** Its attributes as stat has them. */
  stat(row: InodeRow): {
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
    readonly seconds: number;
    readonly nanoseconds: number;
  } {
    return {
      mode: this.#mode.get(row),
      uid: this.#uid.get(row),
      gid: this.#gid.get(row),
      seconds: this.#seconds.get(row),
      nanoseconds: this.#nanoseconds.get(row),
    };
  }

  size(row: InodeRow): number {
    return this.#size.get(row);
  }

  /** Of a regular file: where its content begins, in bytes from the begin of the data; of a device: its number. */
  place(row: InodeRow): number {
    return this.#place.get(row);
  }

  setContent(row: InodeRow, place: number, size: number): void {
    this.#place.set(row, place);
    this.#size.set(row, size);
  }

  setTarget(row: InodeRow, target: Uint8Array): void {
    this.setContent(row, this.#targets.add(target), target.length);
  }

  /** Of a symlink; a view that is valid until the next target is set. */
  target(row: InodeRow): Buffer {
    return this.#targets.view(this.#place.get(row), this.#size.get(row));
  }

  xattrs(row: InodeRow): Xattrs {
    return this.#xattrs.get(row) ?? noXattrs;
  }

  setXattr(row: InodeRow, name: string, value: Uint8Array): void {
    this.#xattrs.set(row, new Map([...this.xattrs(row), [name, value]]));
  }
}

const noXattrs: Xattrs = new Map();
/** An archive cannot know which names collide. */
const seed = Math.floor(Math.random() * 2 ** 32) | 0;
