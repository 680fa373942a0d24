/**
 * Blobs in a directory. A blob gets its name by one rename, after its bytes have been verified; it is brought to the disk
 * when a manifest that names it is; of a big one that begins as soon as it is whole, beside what comes next.
 *
 *     blobs/sha256/ab/abcd…   bytes, never changed
 *     uploads/ID              bytes so far
 */
import { lstatSync, renameSync, statSync, unlinkSync } from "node:fs";
import { mkdir, open, readdir, stat } from "node:fs/promises";
import { type Digest, digestAlgorithm, digestHex, GantryError, isDigest, isErrno } from "../lib/index.ts";
import type { BlobStore, ByteRange, StoredBlob } from "./blob-store.ts";
import { EarlySyncs } from "./early-syncs.ts";
import { RegistryError } from "./errors.ts";
import { SharedSync } from "./shared-sync.ts";
import { Turns } from "./turns.ts";
import { type DigestAlgorithm, told, UploadFile } from "./upload-file.ts";

/** Uploads whose hash and descriptor are kept; the others are read again when somebody goes on with them. */
const maxKept = 512;
const maxIdleMs = 10 * 60_000;
/** Digests that are known to be on disk. */
const maxSynced = 100_000;
/** Small ones are synced together with the manifest. */
const earlySyncBytes = 1 << 20;

export class DiskBlobs implements BlobStore {
  readonly #root: string;
  readonly #kept = new Map<string, UploadFile>();
  readonly #turns = new Turns();
  readonly #synced = new Set<string>();
  readonly #syncing = new Map<Digest, Promise<void>>();
  readonly #early = new EarlySyncs();
  readonly #shards = new Map<string, SharedSync>();

  private constructor(root: string) {
    this.#root = root;
  }

  static async open(root: string): Promise<DiskBlobs> {
    const shards = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));
    await mkdir(`${root}/uploads`, { recursive: true, mode: 0o700 });
    for (const algorithm of ["sha256", "sha512"]) {
      for (const shard of shards)
        await mkdir(`${root}/blobs/${algorithm}/${shard}`, { recursive: true, mode: 0o700 });
      await syncPath(`${root}/blobs/${algorithm}`);
    }
    for (const name of ["blobs", "."]) await syncPath(`${root}/${name}`);
    return new DiskBlobs(root);
  }

  async begin(id: string, algorithm: DigestAlgorithm = "sha256"): Promise<void> {
    this.#keep(UploadFile.create(id, this.#uploadPath(id), algorithm));
  }

  async uploaded(id: string): Promise<number | undefined> {
    try {
      return statSync(this.#uploadPath(id)).size;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  async append(id: string, source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
    return this.#turns.take(id, async () => {
      const upload = this.#upload(id);
      upload.usedAt = Number.POSITIVE_INFINITY;
      try {
        return await upload.append(source, maxBytes);
      } finally {
        upload.usedAt = performance.now();
      }
    });
  }

  async commit(id: string, digest: Digest): Promise<number> {
    return this.#turns.take(id, async () => {
      const upload = this.#upload(id);
      const { path, length } = upload;
      try {
        if (!(await upload.has(digest)))
          throw new RegistryError("DIGEST_INVALID", `the bytes that were sent are not those of ${digest}`);
        if (this.#place(path, digest, length) && length >= earlySyncBytes)
          this.#early.add(digest, upload.takeFile());
        return length;
      } catch (error) {
        remove(path);
        throw error;
      } finally {
        this.#kept.delete(id);
        upload.close();
      }
    });
  }

  async cancel(id: string): Promise<void> {
    await this.#turns.take(id, async () => {
      const upload = this.#kept.get(id);
      this.#kept.delete(id);
      upload?.close();
      remove(this.#uploadPath(id));
    });
  }

  async size(digest: Digest): Promise<number | undefined> {
    try {
      return statSync(this.#blobPath(digest)).size;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  async read(digest: Digest, range?: ByteRange): Promise<Blob> {
    const path = this.#blobPath(digest);
    if ((await this.size(digest)) === undefined)
      throw new GantryError("not-found", `blob ${digest} is not in ${this.#root}`);
    const file = Bun.file(path);
    return range === undefined ? file : file.slice(range.start, range.end + 1);
  }

  async sync(digests: readonly Digest[]): Promise<void> {
    await Promise.all(digests.map((digest) => this.#sync(digest)));
  }

  async remove(digest: Digest): Promise<void> {
    this.#forgetSync(digest);
    remove(this.#blobPath(digest));
  }

  async quarantine(digest: Digest): Promise<void> {
    await mkdir(`${this.#root}/quarantine`, { recursive: true, mode: 0o700 });
    this.#forgetSync(digest);
    renameSync(this.#blobPath(digest), `${this.#root}/quarantine/${digest.replace(":", "-")}`);
  }

  async *blobs(): AsyncIterable<StoredBlob> {
    for (const algorithm of ["sha256", "sha512"])
      for (const shard of await readdir(`${this.#root}/blobs/${algorithm}`))
        for (const hex of await readdir(`${this.#root}/blobs/${algorithm}/${shard}`)) {
          const digest = `${algorithm}:${hex}`;
          const found = isDigest(digest) ? await statOf(this.#blobPath(digest)) : undefined;
          if (found !== undefined && isDigest(digest))
            yield { digest, size: found.size, modifiedMs: found.mtimeMs };
        }
  }

  async *uploads(): AsyncIterable<{ readonly id: string; readonly modifiedMs: number }> {
    for (const id of await readdir(`${this.#root}/uploads`)) {
      const found = await statOf(`${this.#root}/uploads/${id}`);
      if (found !== undefined) yield { id, modifiedMs: found.mtimeMs };
    }
  }

  close(): void {
    for (const upload of this.#kept.values()) upload.close();
    this.#kept.clear();
    this.#early.close();
  }

  /** @throws {RegistryError} "BLOB_UPLOAD_UNKNOWN" */
  #upload(id: string): UploadFile {
    const kept = this.#kept.get(id);
    if (kept?.isCurrent() === true) return kept;
    this.#kept.delete(id);
    kept?.close();
    const opened = UploadFile.open(id, this.#uploadPath(id), "sha256");
    if (opened === undefined) throw unknownUpload(id);
    this.#keep(opened);
    return opened;
  }

  #keep(upload: UploadFile): void {
    this.#kept.set(upload.id, upload);
    const idleSince = performance.now() - maxIdleMs;
    for (const [id, oldest] of this.#kept) {
      if (this.#kept.size <= maxKept && oldest.usedAt > idleSince) break;
      if (oldest === upload || oldest.usedAt === Number.POSITIVE_INFINITY) continue;
      this.#kept.delete(id);
      // Whoever has its turn now is not disturbed.
      void this.#turns.take(id, async () => oldest.close());
    }
  }

  /** False: it was there already. */
  #place(path: string, digest: Digest, length: number): boolean {
    const target = this.#blobPath(digest);
    if (sizeOf(target) === length) {
      remove(path);
      return false;
    }
    try {
      renameSync(path, target);
    } catch (error) {
      throw told(target, error);
    }
    this.#forgetSync(digest);
    return true;
  }

  /** Once for all who ask at about the same time. */
  #sync(digest: Digest): Promise<void> {
    if (this.#synced.has(digest)) return Promise.resolve();
    const known = this.#syncing.get(digest);
    if (known !== undefined) return known;
    const syncing = this.#syncBlob(digest);
    this.#syncing.set(digest, syncing);
    const end = (isSynced: boolean): void => {
      if (this.#syncing.get(digest) !== syncing) return;
      this.#syncing.delete(digest);
      this.#early.forget(digest);
      if (isSynced) this.#addSynced(digest);
    };
    syncing.then(
      () => end(true),
      // The kernel tells of lost bytes but once: such a blob stays unfit until it is removed.
      (error: unknown) => isErrno(error, "EIO") || end(false),
    );
    return syncing;
  }

  async #syncBlob(digest: Digest): Promise<void> {
    await (this.#early.of(digest) ?? syncPath(this.#blobPath(digest)));
    await this.#syncShard(this.#shard(digest));
  }

  #addSynced(digest: Digest): void {
    this.#synced.add(digest);
    for (const oldest of this.#synced) {
      if (this.#synced.size <= maxSynced) break;
      this.#synced.delete(oldest);
    }
  }

  #forgetSync(digest: Digest): void {
    this.#early.forget(digest);
    this.#syncing.delete(digest);
    this.#synced.delete(digest);
  }

  /** Names in a shard. */
  #syncShard(path: string): Promise<void> {
    const known = this.#shards.get(path);
    if (known !== undefined) return known.run();
    const shard = new SharedSync(() => syncPath(path));
    this.#shards.set(path, shard);
    return shard.run();
  }

  #shard(digest: Digest): string {
    return `${this.#root}/blobs/${digestAlgorithm(digest)}/${digestHex(digest).slice(0, 2)}`;
  }

  #blobPath(digest: Digest): string {
    return `${this.#shard(digest)}/${digestHex(digest)}`;
  }

  /** Ids become names of files. */
  #uploadPath(id: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(id)) throw unknownUpload(id);
    return `${this.#root}/uploads/${id}`;
  }
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, "r").catch((error: unknown) => {
    if (isErrno(error, "ENOENT")) throw new GantryError("not-found", `${path} is gone`, { cause: error });
    throw error;
  });
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

function sizeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.size;
}

async function statOf(
  path: string,
): Promise<{ readonly size: number; readonly mtimeMs: number } | undefined> {
  return stat(path).catch((error: unknown) => {
    // Removed since the directory was read.
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  });
}

function unknownUpload(id: string): RegistryError {
  return new RegistryError("BLOB_UPLOAD_UNKNOWN", `there is no upload ${JSON.stringify(id.slice(0, 80))}`);
}
