/**
 * Blobs and uploads as bytes, on disk or in S3. Knows no repositories: who links to a blob is in the metadata, and whoever
 * removes one has made sure there that nobody does. All instances of one registry share one blob store.
 */
import type { Digest } from "../lib/index.ts";

export interface StoredBlob {
  readonly digest: Digest;
  readonly size: number;
  readonly modifiedMs: number;
}

export interface ByteRange {
  readonly start: number;
  /** The last byte, as in HTTP. */
  readonly end: number;
}

export interface BlobStore {
  /** Makes an empty upload. @param algorithm of the digest that is expected at the end: any may come */
  begin(id: string, algorithm?: "sha256" | "sha512"): Promise<void>;
  /** Bytes of an upload so far; undefined: there is no such upload. Holds after a restart and from any instance. */
  uploaded(id: string): Promise<number | undefined>;
  /**
   * Appends and returns the bytes the upload has then. The pieces are given away: the store may take their memory. When the source ends early or fails, what has come is kept or cut off
   * again, and `uploaded` tells which.
   * @throws {RegistryError} "SIZE_INVALID" beyond maxBytes; {GantryError} "exhausted" when the disk is full
   */
  append(id: string, source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number>;
  /**
   * Makes the upload the blob `digest`, whole and verified, or leaves no blob. The upload is gone afterwards either way.
   * @throws {RegistryError} "DIGEST_INVALID" when the bytes have another digest
   */
  commit(id: string, digest: Digest): Promise<number>;
  cancel(id: string): Promise<void>;
  /** Bytes of a blob. */
  size(digest: Digest): Promise<number | undefined>;
  /** The body of an answer. @throws {GantryError} "not-found" */
  read(digest: Digest, range?: ByteRange): Promise<Blob | ReadableStream<Uint8Array>>;
  /** Where clients may fetch it without us, for a short while; undefined: only here. */
  location?(digest: Digest): Promise<string | undefined>;
  /** Makes what has been committed so far survive a power cut: called before a manifest that names it is acknowledged. */
  sync(digests: readonly Digest[]): Promise<void>;
  remove(digest: Digest): Promise<void>;
  blobs(): AsyncIterable<StoredBlob>;
  uploads(): AsyncIterable<{ readonly id: string; readonly modifiedMs: number }>;
  /** Puts a damaged blob where nobody is served from, for somebody to look at. */
  quarantine(digest: Digest): Promise<void>;
  /** Removes what neither a blob nor an upload knows of, where the store can have such; bytes that were freed. */
  sweep?(olderThanMs: number): Promise<number>;
}
