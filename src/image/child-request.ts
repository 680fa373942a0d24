/** What the engine asks of a confined child, and how the child answers: plain data, JSON on the wire. */
import type { ErrorCode } from "../lib/index.ts";

/** A directory, an overlay that only the child mounts, or what a living process sees. Paths are the host's. */
export type TreeRoot = { readonly dir: string } | { readonly process: ProcessName } | OverlayRoot;

/** Lower directories top first. Upper and work are for writing, and must not be mounted elsewhere meanwhile. */
export interface OverlayRoot {
  readonly lowers: readonly string[];
  readonly upper?: string;
  readonly work?: string;
  /** What lies upon it: a target before what is below it. */
  readonly mounts?: readonly TreeMount[];
}

/** A directory or file of the host at a path of the tree. */
export interface TreeMount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** A process that cannot be mistaken for a later one with its number. */
export interface ProcessName {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, decimal. */
  readonly startTime: string;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** One thing to pack: a path inside the root (links are followed inside it) and its name in the archive. */
export interface PackItem {
  readonly path: string;
  /** "" for the archive's root, which only `contentsOnly` may use. */
  readonly as: string;
  /** The directory's content without the directory. A file is packed as itself. */
  readonly contentsOnly?: boolean;
}

/** A layer's own directory and what lies below it, top first. */
export interface LayerTarget {
  readonly target: string;
  readonly parents: readonly string[];
}

export type ChildJob =
  /** stdin: tar. Applies a layer; the report is an UnpackedLayer. */
  | (LayerTarget & {
      readonly job: "unpack-layer";
      readonly maxBytes: number;
      readonly missingTrailer: boolean;
      readonly measure: "never" | "if-ours" | "always";
    })
  /** Gives directories that the layer's archive did not describe the attributes of those below, and syncs the layer. */
  | (LayerTarget & { readonly job: "inherit-layer"; readonly implied: readonly string[] })
  /**
   * Writes a layer as one EROFS file; the report is an UnpackedLayer. stdin: tar, and the file must not exist; or with
   * `again` nothing: the tar is in the file already, and what the layer has from its parents is put in.
   */
  | {
      readonly job: "erofs-layer";
      readonly file: string;
      readonly maxBytes: number;
      readonly missingTrailer: boolean;
      readonly again?: { readonly tarSize: number; readonly parents: readonly string[] };
    }
  /** Lets fs-verity guard a file that is complete. */
  | { readonly job: "guard-file"; readonly file: string }
  /** Measures an overlay's upper directory as a layer; the report is a MeasuredLayer or null when nothing changed. */
  | (LayerTarget & { readonly job: "diff-layer"; readonly stubs: readonly string[] })
  /** stdout: the layer's own tar. */
  | { readonly job: "layer-tar"; readonly target: string }
  /** stdout: a tar of chosen paths. */
  | {
      readonly job: "pack";
      readonly root: TreeRoot;
      readonly items: readonly PackItem[];
      readonly exclude: readonly string[];
      readonly owner?: Owner;
      readonly chmod?: number;
    }
  /** stdin: tar. The report is a TreeSummary. */
  | {
      readonly job: "unpack";
      readonly root: TreeRoot;
      readonly dest: string;
      readonly maxBytes: number;
      readonly missingTrailer: boolean;
      readonly owner?: Owner;
    }
  /** stdout: one ListedEntry a line. The report says whether the path exists. */
  | {
      readonly job: "list";
      readonly root: TreeRoot;
      readonly path: string;
      readonly recursive: boolean;
      readonly maxEntries: number;
    }
  /** stdout: the file's bytes. The report says whether it exists. */
  | { readonly job: "read"; readonly root: TreeRoot; readonly path: string; readonly maxBytes: number };

export interface ChildRequest {
  /** An existing empty directory: the child's own tmpfs is mounted on it, seen by nobody else. */
  readonly scratch: string;
  readonly work: ChildJob;
}

export interface MeasuredLayer {
  readonly digest: string;
  /** Bytes of the deterministic tar. */
  readonly tarSize: number;
  /** Bytes of the files' content. */
  readonly size: number;
}

export interface UnpackedLayer {
  readonly entries: number;
  readonly size: number;
  /** Directories that the archive did not describe; "" is the root. */
  readonly implied: readonly string[];
  /** Where the inode of each of them is in a layer's EROFS file. */
  readonly impliedAt?: readonly number[];
  /** The first hard link to a file that the archive does not hold: it may be in a layer below. Of EROFS layers only. */
  readonly linkBelow?: { readonly path: string; readonly linkPath: string } | undefined;
  /** What gantry makes of it: when it was asked for, or the archive looks like one that gantry made. */
  readonly canonical?: MeasuredLayer;
}

export interface ReportedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly fields?: Readonly<Record<string, string | number | boolean>>;
}

/** The one line that the child writes on stderr. */
export type ChildReport = { readonly ok: unknown } | { readonly error: ReportedError };

/** The request stands first on stdin: its length in 4 bytes, big-endian, then JSON. */
export const maxRequestBytes = 64 << 20;
