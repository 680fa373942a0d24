/** The nouns of this room: images, layers, references. Wire types are spelled as in OCI image-spec v1.1 config.md. */
import type { Digest, Database, Logger } from "../lib/index.ts";
import type { Sys } from "../kernel/index.ts";
import type { SnapshotterName } from "./layer-driver.ts";
import type { SnapshotterWish } from "./snapshotter.ts";

export interface HealthcheckConfig {
  readonly Test?: readonly string[];
  /** Nanoseconds. */
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

/** What an image says about the containers made of it (`config` of the image config, with Docker's additions). */
export interface ContainerDefaults {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  /** Seconds. */
  readonly StopTimeout?: number;
  readonly Shell?: readonly string[];
  readonly OnBuild?: readonly string[];
  readonly Healthcheck?: HealthcheckConfig;
  readonly ArgsEscaped?: boolean;
}

export interface HistoryEntry {
  /** RFC 3339. */
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** The image config: its digest is the image's id. */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly created?: string;
  readonly author?: string;
  readonly config: ContainerDefaults;
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly Digest[] };
  readonly history: readonly HistoryEntry[];
}

/** An unpacked layer on top of its parents. */
export interface Layer {
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest;
  /** Names this layer on top of exactly these parents (image-spec config.md, "Layer ChainID"). */
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
  /** The directory with its files, as a lower layer of overlayfs. */
  readonly dir: string;
  /** Bytes of its files. */
  readonly size: number;
}

export interface ImageRecord {
  /** `sha256:` and 64 hex digits: the digest of the config. */
  readonly id: Digest;
  readonly config: ImageConfig;
  /** Familiar names with tag, sorted: `busybox:latest`. */
  readonly repoTags: readonly string[];
  /** Familiar names with digest. */
  readonly repoDigests: readonly string[];
  /** Bytes of all layers. */
  readonly size: number;
  /** Milliseconds since 1970; 0 when the config does not say. */
  readonly createdAtMs: number;
  /** Image this one was built upon here, for the builder's cache. */
  readonly parent: Digest | undefined;
  /** The top layer's chain id; undefined for an image without layers. */
  readonly chainId: Digest | undefined;
  /**
   * Layer directories, top first, ready to be the lower layers of an overlay: reading this mounts layers that are files.
   * @throws {GantryError} "corrupt", "unsupported" when a layer cannot be shown
   */
  readonly lowers: readonly string[];
  /** The names of those directories, which may be empty as yet. */
  readonly layerDirs: readonly string[];
  /** How the top layer is kept. */
  readonly snapshotter: SnapshotterName;
}

/** What a lease keeps of an image, whatever has become of that. */
export type LeasedLayers = Pick<ImageRecord, "lowers" | "layerDirs" | "size">;

/** A row of `docker history`, newest first. */
export interface HistoryRow {
  /** The image's id, or `<missing>`. */
  readonly id: string;
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly tags: readonly string[];
  readonly size: number;
  readonly comment: string;
}

export type RemovedItem = { readonly untagged: string } | { readonly deleted: string };

/** Who uses an image: asked by removal and prune. */
export type UsedBy = (id: Digest) => { readonly container: string; readonly running: boolean } | undefined;

export interface ImageStoreOptions {
  /** The engine's data directory. */
  readonly root: string;
  readonly db: Database;
  readonly sys: Sys;
  readonly logger: Logger;
  /** How new layers are kept; `overlay` unless told. */
  readonly snapshotter?: SnapshotterWish;
}

/** Keeps images and layers from being collected while a container, a build or a load needs them. */
export interface Hold extends Disposable {
  /** @param id an image's id or a layer's chain id */
  keep(id: string): void;
  /** Lets go of everything; calling it again does nothing. */
  release(): void;
}

export interface ApplyLayerRequest {
  /** A tar stream: plain, gzip or zstd, told by its first bytes. */
  readonly source: AsyncIterable<Uint8Array>;
  readonly parent?: Digest | undefined;
  /** What the bytes, compressed and not, must hash to. */
  readonly digest?: Digest | undefined;
  readonly diffId?: Digest | undefined;
  /** The new layer is kept by it from the moment it exists. */
  readonly hold: Hold;
  readonly signal?: AbortSignal | undefined;
}

export interface DiffLayerRequest {
  /** An overlay upper directory on the store's file system. It is consumed, so nothing may use it any more, unless `keepUpper`. */
  readonly upper: string;
  /** A copy becomes the layer; the directory stays as it is. */
  readonly keepUpper?: boolean;
  readonly parent?: Digest | undefined;
  readonly hold: Hold;
  /** Paths in the upper directory, relative to it, that are left out when they are empty: stubs of mount targets. */
  readonly stubs?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

export interface CreateImageRequest {
  readonly config: ContainerDefaults;
  /** Chain id of the top layer. */
  readonly chainId?: Digest | undefined;
  readonly history: readonly HistoryEntry[];
  /** RFC 3339; the caller's clock. */
  readonly created?: string;
  readonly author?: string | undefined;
  /** Defaults to this machine's. */
  readonly architecture?: string;
  readonly variant?: string;
  readonly parent?: Digest | undefined;
}

export interface ImportRequest {
  readonly reference?: string | undefined;
  readonly config?: ContainerDefaults;
  readonly message?: string | undefined;
  /** RFC 3339; defaults to now. */
  readonly created?: string;
  readonly architecture?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface ImportAciRequest {
  /** Instead of the image's own name. */
  readonly reference?: string | undefined;
  /** A detached OpenPGP signature of the file, and the keys that it may be of. Both or neither. */
  readonly signature?: Uint8Array | undefined;
  readonly keys?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ImportedAci {
  readonly image: ImageRecord;
  /** What the image asked for and an OCI image cannot say. */
  readonly warnings: readonly string[];
  /** Of the key that signed it. */
  readonly fingerprint?: string;
}

export interface LoadedImage {
  readonly id: Digest;
  /** Familiar names it was given; empty when the archive names none. */
  readonly references: readonly string[];
}

export type LoadProgress = (event: {
  readonly layer: Digest;
  readonly status: "unpacking" | "done" | "exists";
}) => void;

export interface LoadOptions {
  readonly onProgress?: LoadProgress;
  readonly signal?: AbortSignal | undefined;
}

export interface RemoveRequest {
  /** Also when stopped containers use it, or it has several names. */
  readonly force: boolean;
  /** Keep untagged parents. */
  readonly noPrune: boolean;
  /** Names a running container first if there is one. */
  readonly usedBy: UsedBy;
}

export interface PruneRequest {
  /** Only images without name. */
  readonly dangling: boolean;
  readonly usedBy: UsedBy;
  /** Further wishes, such as labels and age: false keeps the image. */
  readonly filter?: (image: ImageRecord) => boolean;
}

export interface PruneResult {
  readonly removed: readonly RemovedItem[];
  readonly reclaimedBytes: number;
}
