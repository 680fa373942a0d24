/** volume: named directories that outlive containers. */
export { anonymousLabel, type CreateVolumeRequest, type Volume } from "./volume.ts";
export { type PruneVolumesResult, VolumeStore, type VolumeStoreOptions } from "./volume-store.ts";
