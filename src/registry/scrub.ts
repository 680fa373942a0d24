/** Reads all blobs again: what has changed on its disk is put aside, so that nobody gets it and it can be pushed again. */
import { type Digest, digestHex, type Logger } from "../lib/index.ts";
import type { BlobStore } from "./blob-store.ts";

export interface ScrubReport {
  readonly blobs: number;
  readonly bytes: number;
  readonly damaged: readonly Digest[];
}

/** @param onProgress is told how many blobs have been read */
export async function scrub(
  blobs: BlobStore,
  logger: Logger,
  onProgress: (count: number) => void = () => undefined,
): Promise<ScrubReport> {
  const damaged: Digest[] = [];
  let count = 0;
  let bytes = 0;
  for await (const { digest, size } of blobs.blobs()) {
    const isRight = await isUnchanged(blobs, digest);
    // undefined: removed meanwhile.
    if (isRight === undefined) continue;
    count += 1;
    bytes += size;
    onProgress(count);
    if (isRight) continue;
    await blobs.quarantine(digest);
    damaged.push(digest);
    logger.error("blob.damaged", { digest, size });
  }
  return { blobs: count, bytes, damaged };
}

async function isUnchanged(blobs: BlobStore, digest: Digest): Promise<boolean | undefined> {
  const hash = new Bun.CryptoHasher(digest.startsWith("sha512:") ? "sha512" : "sha256");
  try {
    const body = await blobs.read(digest);
    for await (const piece of body instanceof Blob ? body.stream() : body) hash.update(piece);
  } catch (error) {
    if ((await blobs.size(digest)) === undefined) return undefined;
    throw error;
  }
  return hash.digest("hex") === digestHex(digest);
}
