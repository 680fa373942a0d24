/** What the tar codec speaks of: one entry with its metadata, and the events a reader makes of a byte stream. */

export type TarType = "file" | "dir" | "symlink" | "hardlink" | "char" | "block" | "fifo";

/** Metadata of one entry. Paths are as in the archive: not normalized, not judged. */
export interface TarEntry {
  readonly path: string;
  readonly type: TarType;
  /** Permission bits with set-id and sticky (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file's content when expanded (holes included); 0 for all but files. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Target of a symlink, or the path of the entry a hard link shares. */
  readonly linkPath: string;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Extended attributes by full name (`security.capability`). */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/** An entry with every field optional but path and type. */
export type TarEntryInput = Pick<TarEntry, "path" | "type"> & Partial<TarEntry>;

/** Fills in root's ownership, the usual modes, the epoch and no links. */
export function tarEntry(input: TarEntryInput): TarEntry {
  return {
    mode: input.type === "dir" ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeNs: 0n,
    linkPath: "",
    devMajor: 0,
    devMinor: 0,
    xattrs: new Map(),
    ...input,
  };
}

/**
 * What a reader yields, in order: `entry`, then `data` for each run of bytes (a sparse file's holes are left out), then
 * `end` of that entry. `bytes` is a view that is only valid until the next event.
 */
export type TarEvent =
  | { readonly kind: "entry"; readonly entry: TarEntry }
  | { readonly kind: "data"; readonly entry: TarEntry; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly entry: TarEntry };

export const blockSize = 512;
