/** An upload on disk: bytes are appended and hashed as they come; big ones by a thread. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { type Digest, digestAlgorithm, digestHex, GantryError, isErrno } from "../lib/index.ts";
import { RegistryError } from "./errors.ts";
import { Gathering } from "./gathering.ts";
import { ThreadHash } from "./hash-threads.ts";

export type DigestAlgorithm = "sha256" | "sha512";

/** Blocks of one upload on their way to the thread: one is written while the next one comes. */
const maxInFlight = 2;
/** Takes milliseconds and gives 20 MB back. */
const sweepBytes = 192 << 20;

export class UploadFile {
  readonly id: string;
  readonly path: string;
  readonly #fd: number;
  #isTaken = false;
  #length: number;
  #algorithm: DigestAlgorithm;
  /** Of the first `#hashed` bytes: enough for small uploads, which are not worth a way to another thread. */
  readonly #hash: Bun.CryptoHasher;
  #hashed = 0;
  readonly #thread: ThreadHash;
  usedAt = performance.now();

  private constructor(id: string, path: string, fd: number, algorithm: DigestAlgorithm) {
    this.id = id;
    this.path = path;
    this.#fd = fd;
    this.#length = fstatSync(fd).size;
    this.#algorithm = algorithm;
    this.#hash = new Bun.CryptoHasher(algorithm);
    this.#thread = new ThreadHash(id, fd);
  }

  static create(id: string, path: string, algorithm: DigestAlgorithm): UploadFile {
    const { O_RDWR, O_CREAT, O_EXCL } = constants;
    try {
      return new UploadFile(id, path, openSync(path, O_RDWR | O_CREAT | O_EXCL, 0o600), algorithm);
    } catch (error) {
      throw told(path, error);
    }
  }

  /** undefined: there is none. Its hash begins anew. */
  static open(id: string, path: string, algorithm: DigestAlgorithm): UploadFile | undefined {
    try {
      return new UploadFile(id, path, openSync(path, constants.O_RDWR), algorithm);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  get length(): number {
    return this.#length;
  }

  /** False once another process has written to it, or it is gone. */
  isCurrent(): boolean {
    const { size, nlink } = fstatSync(this.#fd);
    return size === this.#length && nlink > 0;
  }

  /**
   * What came before the source failed is kept.
   * @throws {GantryError} "exhausted" when the disk is full: what could not be written whole is cut off again
   */
  async append(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
    const before = this.#length;
    let came = before;
    const gathering = new Gathering();
    const writes = new Writes(this.#length, (block, position) =>
      this.#thread.write(block, position, this.#algorithm),
    );
    try {
      for await (const piece of source) {
        came += piece.length;
        if (came > maxBytes)
          throw new RegistryError("SIZE_INVALID", `the blob has more than ${maxBytes} bytes`, {
            status: 413,
          });
        for (const block of gathering.add(piece)) await writes.add(block);
      }
    } finally {
      await this.#end(writes, gathering.rest());
    }
    sweepAfter(this.#length - before);
    return this.#length;
  }

  async #end(writes: Writes, rest: Uint8Array<ArrayBuffer> | undefined): Promise<void> {
    try {
      // What is small as a whole stays in this thread.
      if (rest !== undefined && this.#hashed === writes.sent) this.#writeHere(rest);
      else if (rest !== undefined) await writes.add(rest);
      await writes.settle();
    } catch (error) {
      await writes.settle().catch(() => undefined);
      this.#length = Math.max(this.#length, writes.written);
      this.#cutOff();
      throw told(this.path, error);
    }
    this.#length = Math.max(this.#length, writes.written);
  }

  #writeHere(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;)
      at += writeSync(this.#fd, bytes, at, bytes.length - at, this.#length + at);
    this.#hash.update(bytes);
    this.#length += bytes.length;
    this.#hashed = this.#length;
  }

  /** Back to what is whole. */
  #cutOff(): void {
    ftruncateSync(this.#fd, this.#length);
    this.#thread.forget();
  }

  /** Whether the bytes have this digest; reads those again that have not been hashed by its algorithm. */
  async has(digest: Digest): Promise<boolean> {
    const algorithm = digestAlgorithm(digest) === "sha512" ? "sha512" : "sha256";
    const isHashed = this.#hashed === this.#length && algorithm === this.#algorithm;
    const hex = isHashed
      ? this.#hash.copy().digest("hex")
      : await this.#thread.digest(this.#length, algorithm);
    return hex === digestHex(digest);
  }

  /** The file's descriptor, which whoever takes it closes. */
  takeFile(): number {
    this.#isTaken = true;
    return this.#fd;
  }

  close(): void {
    this.#thread.forget();
    if (!this.#isTaken) closeSync(this.#fd);
  }
}

/** Received since garbage was collected last. */
let unswept = 0;

/** What streams leave behind is held for far longer than a busy registry needs it unless it is told to let go. */
function sweepAfter(bytes: number): void {
  unswept += bytes;
  if (unswept < sweepBytes) return;
  unswept = 0;
  Bun.gc(true);
}

/** Writes of one append, in order, a few of them on their way at once. */
class Writes {
  readonly #write: (block: Uint8Array<ArrayBuffer>, position: number) => Promise<void>;
  readonly #running: Promise<void>[] = [];
  #failure: { readonly error: unknown } | undefined;
  /** Where the next block goes. */
  sent: number;
  /** Up to here the file is whole. */
  written: number;

  constructor(position: number, write: (block: Uint8Array<ArrayBuffer>, position: number) => Promise<void>) {
    this.sent = position;
    this.written = position;
    this.#write = write;
  }

  /** @throws what an earlier write has thrown */
  async add(block: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const [position, end] = [this.sent, this.sent + block.length];
    this.sent = end;
    this.#running.push(
      this.#write(block, position).then(
        () => {
          if (this.#failure === undefined) this.written = end;
        },
        (error: unknown) => {
          this.#failure ??= { error };
        },
      ),
    );
    if (this.#running.length > maxInFlight) await this.#running.shift();
  }

  /** Resolves when nothing is being written. @throws what the first failed write has thrown */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** A full disk told as such. */
export function told(path: string, error: unknown): unknown {
  return isErrno(error, "ENOSPC") || isErrno(error, "EDQUOT")
    ? new GantryError("exhausted", `no space left on device: ${path} cannot be written`, { cause: error })
    : error;
}
