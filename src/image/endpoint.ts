/**
 * Where images come from and go to: a registry's repository, an OCI layout, an archive, the engine's own store. Whoever
 * copies images knows these two interfaces and nothing of what is behind them.
 */
import type { Digest } from "../lib/index.ts";
import type { Descriptor, RawManifest } from "./manifest.ts";

export interface BlobRead {
  /** Bytes to leave out at the beginning: a resumed download. */
  readonly offset?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ImageSource extends AsyncDisposable {
  /** For messages: `docker.io/library/busybox`, `oci:/srv/layout`. */
  readonly name: string;
  /**
   * A manifest by tag or digest; without, the one the source was opened for. Its bytes have been verified against its digest.
   * @throws {GantryError} "not-found", "denied", "unavailable", "corrupt"
   */
  manifest(reference?: string, signal?: AbortSignal): Promise<RawManifest>;
  /** The blob's bytes, NOT verified: who takes them in digests them. Broken connections are resumed inside. */
  blob(blob: Descriptor, options?: BlobRead): AsyncIterable<Uint8Array>;
  /** Descriptors of what refers to a digest (distribution-spec, "Listing Referrers"). */
  referrers(subject: Digest, artifactType?: string, signal?: AbortSignal): Promise<readonly Descriptor[]>;
  tags(signal?: AbortSignal): Promise<readonly string[]>;
  /** Told before anything is asked of it: blobs that have yet to be made may go to the target while they are made. */
  streamTo?(target: ImageTarget): void;
  /** Names of repositories elsewhere that probably have the blob: a registry can take it from there by itself. */
  repositories?(blob: Descriptor): readonly string[];
}

export interface BlobWrite {
  /** Opens the bytes, again for each try. */
  readonly open: (offset: number) => AsyncIterable<Uint8Array>;
  /** Is told how many bytes have gone out in all. */
  readonly onProgress?: ((sent: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A blob on its way to a target before anybody knows its digest. */
export interface BlobStream {
  /** Resolves when all bytes are there. */
  send(bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** Makes a blob of what was sent. */
  keep(blob: Descriptor): Promise<void>;
  /** Lets go of it. Never fails. */
  drop(): Promise<void>;
}

export interface ImageTarget extends AsyncDisposable {
  readonly name: string;
  hasBlob(blob: Descriptor, signal?: AbortSignal): Promise<boolean>;
  /**
   * Takes the blob from `from` without sending it, where it can (cross-repository mount, hard link); false: send it.
   * Text is the repository beside it that had the blob.
   */
  mountBlob(blob: Descriptor, from: ImageSource, signal?: AbortSignal): Promise<boolean | string>;
  /** @throws {GantryError} "corrupt" when the bytes are not those of the descriptor; nothing is kept then */
  putBlob(blob: Descriptor, write: BlobWrite): Promise<void>;
  /** @throws {GantryError} as putBlob does */
  beginBlob?(signal?: AbortSignal): Promise<BlobStream>;
  /** True for what a stream has brought. */
  hasStreamed?(blob: Descriptor): boolean;
  hasManifest(digest: Digest, signal?: AbortSignal): Promise<boolean>;
  /** What it refers to must be there. With a tag it is found by that too. */
  putManifest(manifest: RawManifest, tag?: string, signal?: AbortSignal): Promise<void>;
}
