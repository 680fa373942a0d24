/**
 * Blobs in a bucket of S3. A blob that came in one piece is the object of its digest. A big one stays where its multipart
 * upload was completed, and the object of its digest is empty but for a pointer in its metadata: no byte is copied.
 *
 *     blobs/sha256/ab/abcd…   the bytes; or empty, x-amz-meta-gantry-data: data/ID, x-amz-meta-gantry-size: BYTES
 *     data/ID                 bytes of a big blob
 *     uploads/ID              see s3-upload.ts
 */
import { createHash } from "node:crypto";
import { type Digest, digestHex, GantryError, isDigest } from "../lib/index.ts";
import type { BlobStore, ByteRange, StoredBlob } from "./blob-store.ts";
import { RegistryError } from "./errors.ts";
import { S3Client } from "./s3-client.ts";
import { type S3Config, s3Place } from "./s3-config.ts";
import { dataKey, S3Upload, type S3UploadRoom } from "./s3-upload.ts";
import { Buffers, Turns } from "./turns.ts";

export interface S3BlobsOptions extends S3Config {
  /** For parts that wait to be sent: on a disk. */
  readonly spoolDirectory: string;
  /** Clients are sent to S3 for blobs. */
  readonly redirect?: boolean | undefined;
}

/** Where the bytes of a blob are. */
interface Place {
  readonly key: string;
  readonly size: number;
}

const dataField = "gantry-data";
const sizeField = "gantry-size";

function pointer({ key, size }: Place): Readonly<Record<string, string>> {
  return { [dataField]: key, [sizeField]: String(size) };
}

/** Uploads whose hash and tail are kept here; others are read again from S3. */
const maxKept = 256;
const maxIdleMs = 10 * 60_000;
const maxPlaces = 20_000;
const presignSeconds = 20 * 60;
/** Bun answers with streams in chunks, without a Content-Length: what is small is read before. */
const smallBytes = 1 << 20;
/** Bodies in memory at once: 4 parts of 5 MiB. */
const bodiesAtOnce = 4;

export class S3Blobs implements BlobStore {
  readonly #client: S3Client;
  readonly #room: S3UploadRoom;
  readonly #redirect: boolean;
  readonly #turns = new Turns();
  readonly #kept = new Map<string, S3Upload>();
  /** Never wrong for long: an object that is gone is looked up again. */
  readonly #places = new Map<Digest, Place>();

  private constructor(options: S3BlobsOptions) {
    this.#client = new S3Client(s3Place(options));
    this.#room = {
      client: this.#client,
      directory: options.spoolDirectory,
      buffers: new Buffers(bodiesAtOnce),
    };
    this.#redirect = options.redirect === true;
  }

  /** Looks into the bucket once, so that a wrong address or key is told at the start. @throws {GantryError} */
  static async open(options: S3BlobsOptions): Promise<S3Blobs> {
    const blobs = new S3Blobs(options);
    for await (const _ of blobs.#client.list("blobs/")) break;
    return blobs;
  }

  async begin(id: string, algorithm: "sha256" | "sha512" = "sha256"): Promise<void> {
    checkId(id);
    this.#keep(await S3Upload.begin(this.#room, id, algorithm));
  }

  async uploaded(id: string): Promise<number | undefined> {
    return this.#turns.take(id, async () => {
      const upload = await this.#upload(id);
      // Whether somebody goes on with it here is not known yet.
      if (upload !== undefined && !this.#kept.has(id)) await upload.close();
      return upload?.length;
    });
  }

  async append(id: string, source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
    return this.#turns.take(id, async () => {
      const upload = await this.#upload(id);
      if (upload === undefined) throw unknownUpload(id);
      this.#keep(upload);
      try {
        return await upload.append(source, maxBytes);
      } finally {
        if (!upload.isIntact) await this.#forget(upload);
      }
    });
  }

  async commit(id: string, digest: Digest): Promise<number> {
    return this.#turns.take(id, async () => {
      const kept = this.#kept.get(id);
      const isKnown = kept?.digest() === digest;
      const upload = isKnown ? kept : await this.#upload(id);
      if (upload === undefined) throw unknownUpload(id);
      try {
        return await this.#store(upload, digest);
      } finally {
        this.#kept.delete(id);
      }
    });
  }

  async cancel(id: string): Promise<void> {
    await this.#turns.take(id, async () => {
      const upload = this.#kept.get(id) ?? (await S3Upload.load(this.#room, id));
      this.#kept.delete(id);
      await upload?.discard();
    });
  }

  async size(digest: Digest): Promise<number | undefined> {
    return (await this.#find(digest))?.size;
  }

  async read(digest: Digest, range?: ByteRange): Promise<Blob | ReadableStream<Uint8Array>> {
    const known = this.#places.get(digest);
    const place = known ?? (await this.#find(digest));
    if (place === undefined) throw missing(digest);
    if (place.size === 0) return new Blob([]);
    const bytes = range === undefined ? undefined : `bytes=${range.start}-${range.end}`;
    const answer = await this.#client.get(place.key, bytes);
    if (answer?.body === null) return new Blob([]);
    const length = range === undefined ? place.size : range.end - range.start + 1;
    if (answer !== undefined) return length <= smallBytes ? wholeBody(answer, length) : answer.body;
    this.#places.delete(digest);
    if (known === undefined) throw missing(digest);
    return this.read(digest, range);
  }

  async location(digest: Digest): Promise<string | undefined> {
    if (!this.#redirect) return undefined;
    const place = await this.#find(digest);
    return place === undefined ? undefined : this.#client.presigned(place.key, presignSeconds);
  }

  /** S3 has it on disks before it answers. */
  async sync(): Promise<void> {}

  async remove(digest: Digest): Promise<void> {
    const place = await this.#find(digest);
    this.#places.delete(digest);
    if (place === undefined) return;
    await this.#client.delete(blobKey(digest));
    if (place.key !== blobKey(digest)) await this.#client.delete(place.key);
  }

  /** A big blob stays where it is; what points to it is moved. */
  async quarantine(digest: Digest): Promise<void> {
    const place = await this.#find(digest);
    this.#places.delete(digest);
    if (place === undefined) return;
    const key = `quarantine/${blobKey(digest).slice("blobs/".length)}`;
    if (place.key !== blobKey(digest)) await this.#client.put(key, "", pointer(place));
    else {
      const answer = await this.#client.get(place.key);
      await this.#client.put(key, new Uint8Array((await answer?.arrayBuffer()) ?? []));
    }
    await this.#client.delete(blobKey(digest));
  }

  async *blobs(): AsyncIterable<StoredBlob> {
    for await (const object of this.#client.list("blobs/")) {
      const digest = digestOf(object.key);
      if (digest === undefined) continue;
      const size = object.size > 0 ? object.size : (await this.#find(digest))?.size;
      if (size !== undefined) yield { digest, size, modifiedMs: object.modifiedMs };
    }
  }

  async *uploads(): AsyncIterable<{ readonly id: string; readonly modifiedMs: number }> {
    for await (const { key, modifiedMs } of this.#client.list("uploads/"))
      yield { id: key.slice("uploads/".length), modifiedMs };
  }

  /**
   * Removes what neither a blob nor an upload knows of: multiparts whose upload is gone, data that no blob points to.
   * @returns bytes that were freed
   */
  async sweep(olderThanMs: number): Promise<number> {
    const uploads = new Set<string>();
    for await (const { id } of this.uploads()) uploads.add(dataKey(id));
    for await (const { key, uploadId, startedMs } of this.#client.multiparts("data/"))
      if (startedMs < olderThanMs && !uploads.has(key)) await this.#client.abort(key, uploadId);
    const old = new Map<string, number>();
    for await (const { key, size, modifiedMs } of this.#client.list("data/"))
      if (modifiedMs < olderThanMs && !uploads.has(key)) old.set(key, size);
    if (old.size === 0) return 0;
    for (const folder of ["blobs/", "quarantine/"])
      for await (const { key, size } of this.#client.list(folder)) {
        const head = size === 0 ? await this.#client.head(key) : undefined;
        old.delete(head?.get(`x-amz-meta-${dataField}`) ?? "");
      }
    for (const key of old.keys()) await this.#client.delete(key);
    return Array.from(old.values()).reduce((sum, size) => sum + size, 0);
  }

  /** The upload as it is now, wherever it was written last. */
  async #upload(id: string): Promise<S3Upload | undefined> {
    checkId(id);
    const kept = this.#kept.get(id);
    if (kept !== undefined) {
      if (await kept.isCurrent()) return kept;
      await this.#forget(kept);
    }
    return S3Upload.load(this.#room, id);
  }

  #keep(upload: S3Upload): void {
    this.#kept.delete(upload.id);
    this.#kept.set(upload.id, upload);
    const idleSince = performance.now() - maxIdleMs;
    for (const [id, oldest] of this.#kept) {
      if (this.#kept.size <= maxKept && oldest.usedAt > idleSince) break;
      this.#kept.delete(id);
      // Whoever has its turn now is not disturbed.
      void this.#turns.take(id, () => oldest.close());
    }
  }

  async #forget(upload: S3Upload): Promise<void> {
    this.#kept.delete(upload.id);
    await upload.close().catch(() => undefined);
  }

  async #store(upload: S3Upload, digest: Digest): Promise<number> {
    const size = upload.length;
    const known = upload.digest();
    if (known !== undefined && known !== digest && algorithmOf(known) === algorithmOf(digest)) {
      await upload.discard();
      throw wrongDigest(digest);
    }
    const present = await this.#find(digest);
    if (upload.isMultipart) await this.#storeParts(upload, digest, present !== undefined);
    else await this.#storeBytes(upload, digest, present !== undefined);
    return size;
  }

  async #storeBytes(upload: S3Upload, digest: Digest, isPresent: boolean): Promise<void> {
    const isRight = await upload.withBytes(async (bytes) => {
      if (hexOf(digest, bytes) !== digestHex(digest)) return false;
      if (!isPresent) await this.#client.put(blobKey(digest), bytes);
      return true;
    });
    await upload.discard();
    if (!isRight) throw wrongDigest(digest);
  }

  async #storeParts(upload: S3Upload, digest: Digest, isPresent: boolean): Promise<void> {
    const isVerified = upload.digest() === digest;
    if (isVerified && isPresent) return upload.discard();
    const size = upload.length;
    const key = await upload.complete();
    const isRight = isVerified || (await this.#hexOfObject(key, digest)) === digestHex(digest);
    const isWanted = isRight && !isPresent;
    if (isWanted) await this.#client.put(blobKey(digest), "", pointer({ key, size }));
    await upload.discard();
    if (!isWanted) await this.#client.delete(key);
    if (!isRight) throw wrongDigest(digest);
  }

  async #hexOfObject(key: string, digest: Digest): Promise<string> {
    const hash = new Bun.CryptoHasher(algorithmOf(digest));
    const answer = await this.#client.get(key);
    for await (const piece of answer?.body ?? []) hash.update(piece);
    return hash.digest("hex");
  }

  async #find(digest: Digest): Promise<Place | undefined> {
    const key = blobKey(digest);
    const head = await this.#client.head(key);
    if (head === undefined) return undefined;
    const data = head.get(`x-amz-meta-${dataField}`);
    const place =
      data === null
        ? { key, size: Number(head.get("content-length")) }
        : { key: data, size: Number(head.get(`x-amz-meta-${sizeField}`)) };
    this.#places.set(digest, place);
    for (const oldest of this.#places.keys()) {
      if (this.#places.size <= maxPlaces) break;
      this.#places.delete(oldest);
    }
    return place;
  }
}

function blobKey(digest: Digest): string {
  const hex = digestHex(digest);
  return `blobs/${digest.slice(0, digest.indexOf(":"))}/${hex.slice(0, 2)}/${hex}`;
}

function digestOf(key: string): Digest | undefined {
  const [, algorithm, , hex] = key.split("/");
  const text = `${algorithm}:${hex}`;
  return isDigest(text) ? text : undefined;
}

function algorithmOf(digest: string): "sha256" | "sha512" {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

function hexOf(digest: Digest, bytes: Uint8Array): string {
  return createHash(algorithmOf(digest)).update(bytes).digest("hex");
}

/** Ids become parts of keys. */
function checkId(id: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(id)) throw unknownUpload(id);
}

function unknownUpload(id: string): RegistryError {
  return new RegistryError("BLOB_UPLOAD_UNKNOWN", `there is no upload ${JSON.stringify(id.slice(0, 80))}`);
}

function wrongDigest(digest: Digest): RegistryError {
  return new RegistryError("DIGEST_INVALID", `the bytes that were sent are not those of ${digest}`);
}

function missing(digest: Digest): GantryError {
  return new GantryError("not-found", `blob ${digest} is not in S3`);
}

/** @throws {GantryError} "unavailable" when S3 sends another number of bytes */
async function wholeBody(answer: Response, length: number): Promise<Blob> {
  const announced = answer.headers.get("content-length");
  if (announced !== null && announced !== String(length)) {
    await answer.body?.cancel();
    throw new GantryError("unavailable", `S3 has announced ${announced} bytes instead of ${length}`);
  }
  const bytes = await answer.arrayBuffer();
  if (bytes.byteLength === length) return new Blob([bytes]);
  throw new GantryError("unavailable", `S3 has sent ${bytes.byteLength} bytes instead of ${length}`);
}
