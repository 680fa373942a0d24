/**
 * One upload into S3. Its bytes are the parts of a multipart upload and a tail that is too short for a part; parts, tail and
 * the multipart's id stand together in one small object, so that each step is one atomic PUT and any instance can go on:
 *
 *     uploads/ID   {"uploadId":"…","parts":[{"number":1,"etag":"…","size":8388608}]} \n tail bytes
 *     data/ID      the multipart's object, once it is complete
 */
import { GantryError } from "../lib/index.ts";
import { RegistryError } from "./errors.ts";
import type { S3Client, S3Part } from "./s3-client.ts";
import { Spool } from "./spool.ts";
import type { Buffers } from "./turns.ts";

export interface S3UploadRoom {
  readonly client: S3Client;
  readonly directory: string;
  /** Bodies in memory at once, over all uploads. */
  readonly buffers: Buffers;
}

interface State {
  readonly uploadId: string | undefined;
  readonly parts: readonly S3Part[];
}

/** S3 takes no smaller part but as the last. They double every 2,000, so that 10,000 of them are 300 GiB. */
function partBytes(count: number): number {
  return (5 << 20) * 2 ** Math.floor(count / 2000);
}

export class S3Upload {
  readonly id: string;
  readonly #room: S3UploadRoom;
  #uploadId: string | undefined;
  #parts: S3Part[];
  #tail: Spool;
  #sending: Promise<void> | undefined;
  /** Of all bytes; undefined: not all of them passed through here. */
  #hasher: Bun.CryptoHasher | undefined;
  /** Of the object that we have written last, and how many bytes of the tail are in it. */
  #etag: string;
  #savedTail = 0;
  #isIntact = true;
  /** By performance.now(); never while bytes come. */
  usedAt = performance.now();

  private constructor(room: S3UploadRoom, id: string, state: State, etag: string) {
    this.#room = room;
    this.id = id;
    this.#uploadId = state.uploadId;
    this.#parts = [...state.parts];
    this.#tail = new Spool(room.directory);
    this.#etag = etag;
  }

  static async begin(room: S3UploadRoom, id: string, algorithm: "sha256" | "sha512"): Promise<S3Upload> {
    const upload = new S3Upload(room, id, { uploadId: undefined, parts: [] }, "");
    upload.#hasher = new Bun.CryptoHasher(algorithm);
    await upload.#save();
    return upload;
  }

  /** As another instance, or this one before a restart, has left it; undefined: there is none. */
  static async load(room: S3UploadRoom, id: string): Promise<S3Upload | undefined> {
    const answer = await room.client.get(stateKey(id));
    if (answer === undefined) return undefined;
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const end = bytes.indexOf(0x0a);
    const state = readState(id, Buffer.from(bytes.subarray(0, end)).toString());
    const upload = new S3Upload(room, id, state, answer.headers.get("etag") ?? "");
    if (!(await upload.#adoptParts())) {
      await upload.#tail.write(bytes.subarray(end + 1));
      upload.#savedTail = upload.#tail.length;
    }
    if (upload.length === 0) upload.#hasher = new Bun.CryptoHasher("sha256");
    return upload;
  }

  get length(): number {
    return this.#parts.reduce((sum, part) => sum + part.size, 0) + this.#tail.length;
  }

  /** Bytes are in S3 as parts; false: all of them are here in the tail. */
  get isMultipart(): boolean {
    return this.#parts.length > 0;
  }

  /** False after a failure in S3, or when another instance has gone on with it since. */
  async isCurrent(): Promise<boolean> {
    if (!this.#isIntact) return false;
    const head = await this.#room.client.head(stateKey(this.id));
    return head !== undefined && head.get("etag") === this.#etag;
  }

  /** What has come is durable when this returns or when `source` fails. */
  async append(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
    let length = this.length;
    this.#isIntact = false;
    this.usedAt = Number.POSITIVE_INFINITY;
    try {
      for await (const piece of source) {
        length += piece.length;
        if (length > maxBytes)
          throw new RegistryError(
            "SIZE_INVALID",
            `the upload is longer than the ${maxBytes} bytes it may have`,
          );
        this.#hasher?.update(piece);
        await this.#tail.write(piece);
        if (this.#tail.length >= partBytes(this.#parts.length)) await this.#send();
      }
    } finally {
      this.usedAt = performance.now();
      await this.#sending;
      await this.#save();
      this.#isIntact = true;
    }
    return this.length;
  }

  /** The digest of all bytes, where it is known without reading them again. */
  digest(): string | undefined {
    return this.#hasher && `${this.#hasher.algorithm}:${this.#hasher.copy().digest("hex")}`;
  }

  /** Lends all bytes of an upload that is not multipart. */
  async withBytes<T>(work: (bytes: Uint8Array) => Promise<T>): Promise<T> {
    return this.#room.buffers.use(this.#tail.length, async (bytes) => {
      await this.#tail.copyTo(bytes, 0);
      return work(bytes);
    });
  }

  /** Makes the parts and the tail the object `data/ID` and returns its key. */
  async complete(): Promise<string> {
    if (this.#tail.length > 0) await this.#send();
    await this.#sending;
    const key = dataKey(this.id);
    if (this.#uploadId === undefined)
      throw new GantryError("internal", "an upload without parts was completed");
    try {
      await this.#room.client.complete(key, this.#uploadId, this.#parts);
    } catch (error) {
      // Completed before a restart, or an answer was lost: the object's size tells.
      if (!(error instanceof GantryError) || error.code !== "not-found") throw error;
    }
    const head = await this.#room.client.head(key);
    if (Number(head?.get("content-length")) !== this.length)
      throw new GantryError(
        "unavailable",
        `${this.#room.client.place.name}: ${key} has not the bytes of its parts`,
      );
    return key;
  }

  /** Forgets it here; it can be loaded again. */
  async close(): Promise<void> {
    await this.#sending?.catch(() => undefined);
    await this.#tail.close();
  }

  get isIntact(): boolean {
    return this.#isIntact;
  }

  /** Removes it from S3, but for the object of a completed multipart. */
  async discard(): Promise<void> {
    await this.close();
    const { client } = this.#room;
    if (this.#uploadId !== undefined) await client.abort(dataKey(this.id), this.#uploadId);
    await client.delete(stateKey(this.id));
  }

  /** Sends the tail as a part while the next one is gathered. */
  async #send(): Promise<void> {
    await this.#sending;
    if (this.#uploadId === undefined) {
      this.#uploadId = await this.#room.client.createMultipart(dataKey(this.id));
      // Before the first part, so that no part is ever in a multipart that nobody knows.
      await this.#save(this.#savedTail > 0);
    }
    const full = this.#tail;
    const number = this.#parts.length + 1;
    const place = { number, etag: "", size: full.length };
    this.#tail = new Spool(this.#room.directory);
    this.#parts.push(place);
    this.#sending = this.#sendPart(full, this.#uploadId, number).then((part) => {
      this.#parts[number - 1] = part;
    });
    // Told where it is awaited.
    this.#sending.catch(() => undefined);
  }

  async #sendPart(spool: Spool, uploadId: string, number: number): Promise<S3Part> {
    const { client, buffers } = this.#room;
    try {
      return await buffers.use(spool.length, async (bytes) => {
        await spool.copyTo(bytes, 0);
        return client.uploadPart(dataKey(this.id), uploadId, number, bytes);
      });
    } finally {
      await spool.close();
    }
  }

  async #save(withTail = true): Promise<void> {
    const state: State = { uploadId: this.#uploadId, parts: this.#parts };
    const head = Buffer.from(`${JSON.stringify(state)}\n`);
    const tailLength = withTail ? this.#tail.length : 0;
    this.#etag = await this.#room.buffers.use(head.length + tailLength, async (body) => {
      body.set(head);
      if (withTail) await this.#tail.copyTo(body, head.length);
      return this.#room.client.put(stateKey(this.id), body);
    });
    this.#savedTail = tailLength;
  }

  /** Takes over parts that were sent after the state was written last; they begin with its tail. */
  async #adoptParts(): Promise<boolean> {
    if (this.#uploadId === undefined) return false;
    const found = await this.#room.client.parts(dataKey(this.id), this.#uploadId);
    const more = (found ?? []).slice(this.#parts.length);
    if (more.some((part, i) => part.number !== this.#parts.length + i + 1)) return false;
    this.#parts.push(...more);
    return more.length > 0;
  }
}

export function stateKey(id: string): string {
  return `uploads/${id}`;
}

export function dataKey(id: string): string {
  return `data/${id}`;
}

function readState(id: string, text: string): State {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || !("parts" in value) || !Array.isArray(value.parts))
    throw new GantryError("corrupt", `the state of upload ${id} in S3 is unreadable`);
  const parts = value.parts.map((part: Readonly<Record<string, unknown>>) => ({
    number: Number(part["number"]),
    etag: String(part["etag"]),
    size: Number(part["size"]),
  }));
  return { uploadId: "uploadId" in value ? String(value.uploadId) : undefined, parts };
}
