/** How the files of a layer are kept and shown. Two drivers live side by side: what is in a layer's directory tells which. */
import type { Sys } from "../kernel/index.ts";
import type { Digest } from "../lib/index.ts";
import type { UnpackedLayer } from "./child-request.ts";

export const snapshotters = ["overlay", "erofs"] as const;
/** `overlay`: unpacked directories. `erofs`: one file that the kernel mounts. */
export type SnapshotterName = (typeof snapshotters)[number];

export type DriverSys = Pick<Sys, "mount" | "umount" | "statfs" | "listXattrs" | "getXattr" | "enableVerity">;

export interface UnpackWork {
  /** The layer's own directory, with nothing but an empty `fs` in it. */
  readonly dir: string;
  readonly maxBytes: number;
  readonly missingTrailer: boolean;
  readonly measure: "never" | "if-ours" | "always";
  /** What lies below, top first, where it is known already: else `settle` tells. */
  readonly parents: readonly string[];
  /** A plain tar. */
  readonly source: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal | undefined;
}

export interface SettleWork {
  readonly dir: string;
  readonly unpacked: UnpackedLayer;
  readonly tarSize: number;
  /** What lies below, top first. */
  readonly parents: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/** All directories are a layer's own, `layers/HEX` or a temporary one. */
export interface LayerDriver {
  readonly name: SnapshotterName;
  /** `archive` gives the very bytes that were unpacked. */
  readonly keepsArchive: boolean;
  /** True for a layer of this kind. */
  owns(dir: string): boolean;
  /** Where the files are seen when the layer is in use. */
  view(dir: string): string;
  /** As view, and they are seen from then on. @throws {GantryError} "corrupt", "unsupported" */
  use(dir: string): string;
  /** The layer is about to be deleted. */
  release(dir: string): void;
  /** Applies an archive in a confined child. */
  unpack(work: UnpackWork): Promise<UnpackedLayer>;
  /** Puts an unpacked layer on its parents: directories that it does not describe are as those below. It is synced then. */
  settle(work: SettleWork): Promise<void>;
  /** Two layers on the same parents have the same exactly when their files are the same. */
  fingerprint(dir: string, tarSize: number, signal: AbortSignal | undefined): Promise<Digest>;
  /** The tar that gantry makes of the layer. The layer is in use meanwhile. */
  ownArchive(dir: string, signal: AbortSignal | undefined): AsyncIterable<Uint8Array>;
  /** The layer's tar, `tarSize` bytes: as it came, or gantry's own. */
  archive(dir: string, tarSize: number, signal: AbortSignal | undefined): AsyncIterable<Uint8Array>;
}
