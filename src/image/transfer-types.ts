/** The nouns of images that come and go: pulls, the store as a source, verification, what the disk holds. */
import type { Digest } from "../lib/index.ts";
import type { ImageSource } from "./endpoint.ts";
import type { PlatformWish } from "./platform.ts";
import type { Reference } from "./reference.ts";

export interface PullRequest {
  /** Where the image comes from; the caller closes it. */
  readonly source: ImageSource;
  /** What the image is called here. A digest in it must be that of what the source has. */
  readonly reference: Reference;
  /** Defaults to this machine's. */
  readonly platform?: PlatformWish | undefined;
  /** "name" (the default) moves the tag here; "digest-only" makes only the name by digest. */
  readonly keep?: "name" | "digest-only";
  readonly onProgress?: ((event: PullEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PullEvent {
  /** The digest of the layer's blob. */
  readonly layer: Digest;
  readonly status:
    "waiting" | "downloading" | "verifying" | "downloaded" | "extracting" | "complete" | "exists";
  /** Bytes. */
  readonly current?: number;
  readonly total?: number;
}

export interface PulledImage {
  readonly id: Digest;
  /** Of what the tag meant: an index or a manifest. */
  readonly digest: Digest;
  /** The name meant exactly this before. */
  readonly upToDate: boolean;
}

export type LayerCompression = "gzip" | "zstd" | "none";

export interface SourceOptions {
  /** For layers that have no compressed form yet; with it given, a manifest with other layers is made anew. */
  readonly compression?: LayerCompression | undefined;
  readonly level?: number | undefined;
}

export interface VerifyRequest {
  /** Names or ids; without, all images. */
  readonly references?: readonly string[];
  /**
   * Opens the registry of a canonical name (`docker.io/library/busybox:latest`, or by digest), to fetch what is damaged from;
   * undefined: there is none. The store closes it. Without this function nothing is repaired.
   */
  readonly repair?: ((name: string) => Promise<ImageSource | undefined>) | undefined;
  readonly onProgress?: ((item: VerifiedItem) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface VerifiedItem {
  readonly kind: "config" | "manifest" | "blob" | "layer";
  /** A layer's is its diff id. */
  readonly digest: Digest;
  /** Ids of the images that need it. */
  readonly images: readonly Digest[];
  readonly state: "intact" | "damaged" | "missing" | "repaired";
  /** What is wrong, and why it could not be repaired if that was tried. */
  readonly message?: string;
}

export interface VerifyReport {
  /** Things looked at, and the bytes that were read for it. */
  readonly items: number;
  readonly bytes: number;
  /** What was not intact, the repaired included. */
  readonly damaged: readonly VerifiedItem[];
}

/** What one image takes on disk: allocated bytes, as `du` counts them. */
export interface ImageUsage {
  readonly id: Digest;
  /** Of its layers, archives and records together. */
  readonly bytes: number;
  /** The part of it that other images use as well. */
  readonly sharedBytes: number;
}

/** What the room has on disk: allocated bytes, as `du` counts them. */
export interface DiskUsage {
  readonly images: readonly ImageUsage[];
  /** Unpacked layers, with those that no image but only a build or container needs. */
  readonly layerBytes: number;
  /** Archives of layers as they came, and made for pushing. */
  readonly blobBytes: number;
  /** Downloads and unpacking under way, broken downloads kept to go on with. */
  readonly temporaryBytes: number;
  /** Directories of the room itself. */
  readonly overheadBytes: number;
  /** The sum: what `du` says of the room's directories. */
  readonly totalBytes: number;
}
