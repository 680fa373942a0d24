/** image: content store, layers and images; archives in and out; files of trees, handled in confinement. */
export { bootstrap, type BootstrapKind, type BootstrapOptions } from "./bootstrap.ts";
export type { OverlayRoot, Owner, PackItem, TreeMount, TreeRoot } from "./child-request.ts";
export { compress, type CompressOptions, compressionLevel } from "./compress.ts";
export { type Compression, decompress, peek } from "./compression.ts";
export { createDockerArchive, openDockerArchive } from "./docker-archive.ts";
export type { BlobRead, BlobStream, BlobWrite, ImageSource, ImageTarget } from "./endpoint.ts";
export { ImageStore } from "./image-store.ts";
export type { ListedEntry } from "./list-tree.ts";
export {
  canonicalName,
  familiarName,
  familiarRepository,
  parseReference,
  type Reference,
  withDefaultTag,
} from "./reference.ts";
export {
  acceptedManifests,
  childrenOf,
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  isManifestType,
  isNonDistributable,
  type Manifest,
  maxManifestBytes,
  mediaTypes,
  parseDescriptor,
  parseManifest,
  type Platform,
  type RawManifest,
} from "./manifest.ts";
export { createLayout, createLayoutArchive } from "./layout-target.ts";
export { openLayout, openLayoutArchive } from "./oci-layout.ts";
export {
  choosePlatform,
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  platformRank,
  type PlatformWish,
} from "./platform.ts";
export { snapshotters, type SnapshotterName } from "./layer-driver.ts";
export type { SnapshotterWish } from "./snapshotter.ts";
export { type ListOptions, type PackRequest, Trees, type UnpackOptions } from "./trees.ts";
export type { TreeSummary } from "./tree-writer.ts";
export type * from "./transfer-types.ts";
export type * from "./types.ts";
export { walkIndex, type WalkedManifest, type WalkOptions } from "./walk-index.ts";
export { parseStrictJson } from "./strict-json.ts";
