/** An upload on disk: bytes are appended and hashed as they come. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { type Digest, digestAlgorithm, digestHex, GantryError, isErrno } from "../lib/index.ts";
import { RegistryError } from "./errors.ts";
import { Gathering, writeAll } from "./gathering.ts";

export type DigestAlgorithm = "sha256" | "sha512";

/** Bytes read again at once. */
const readBytes = 1 << 20;
/** A rehash lets others in after so many bytes. */
const rehashTurnBytes = 16 << 20;

export class UploadFile {
  readonly id: string;
  readonly path: string;
  readonly #fd: number;
  #length: number;
  #algorithm: DigestAlgorithm;
  /** Of the first `#hashed` bytes. */
  #hash: Bun.CryptoHasher;
  #hashed = 0;
  usedAt = performance.now();

  private constructor(id: string, path: string, fd: number, algorithm: DigestAlgorithm) {
    this.id = id;
    this.path = path;
    this.#fd = fd;
    this.#length = fstatSync(fd).size;
    this.#algorithm = algorithm;
    this.#hash = new Bun.CryptoHasher(algorithm);
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
   * Bytes are gathered in one buffer while another is written; a few bytes are written at once.
   * @throws {GantryError} "exhausted" when the disk is full: what could not be written whole is cut off again
   */
  async append(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
    let came = this.#length;
    let first: Uint8Array | undefined;
    let gathering: Gathering | undefined;
    try {
      for await (const piece of source) {
        came += piece.length;
        if (came > maxBytes)
          throw new RegistryError("SIZE_INVALID", `the blob has more than ${maxBytes} bytes`, {
            status: 413,
          });
        if (first === undefined && gathering === undefined) {
          first = piece;
          continue;
        }
        gathering ??= new Gathering(
          (bytes) => this.#write(bytes),
          (bytes) => this.#writeAtOnce(bytes),
        );
        if (first !== undefined) await gathering.add(first);
        first = undefined;
        await gathering.add(piece);
      }
    } finally {
      await this.#keepRest(first, gathering);
    }
    return this.#length;
  }

  /** What came before a client was gone is kept. */
  async #keepRest(first: Uint8Array | undefined, gathering: Gathering | undefined): Promise<void> {
    try {
      const rest = gathering === undefined ? first : await gathering.end();
      if (rest !== undefined) this.#writeAtOnce(rest);
    } finally {
      gathering?.release();
    }
  }

  /** Hashes while the bytes are on their way to the file. */
  async #write(bytes: Uint8Array): Promise<void> {
    const written = writeAll(this.#fd, bytes, this.#length);
    // Told when it is waited for below.
    written.catch(() => undefined);
    const isWhole = this.#hashed === this.#length;
    if (isWhole) this.#hash.update(bytes);
    try {
      await written;
    } catch (error) {
      this.#cutOff();
      throw told(this.path, error);
    }
    this.#length += bytes.length;
    if (isWhole) this.#hashed = this.#length;
  }

  #writeAtOnce(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length;)
        at += writeSync(this.#fd, bytes, at, bytes.length - at, this.#length + at);
    } catch (error) {
      this.#cutOff();
      throw told(this.path, error);
    }
    if (this.#hashed === this.#length) {
      this.#hash.update(bytes);
      this.#hashed += bytes.length;
    }
    this.#length += bytes.length;
  }

  /** Back to what is whole: its hash is made again when it is asked for. */
  #cutOff(): void {
    ftruncateSync(this.#fd, this.#length);
    this.#hash = new Bun.CryptoHasher(this.#algorithm);
    this.#hashed = 0;
  }

  /** Whether the bytes have this digest; reads those again that this process has not hashed by its algorithm. */
  async has(digest: Digest): Promise<boolean> {
    const algorithm = digestAlgorithm(digest) === "sha512" ? "sha512" : "sha256";
    if (algorithm !== this.#algorithm) {
      this.#algorithm = algorithm;
      this.#hash = new Bun.CryptoHasher(algorithm);
      this.#hashed = 0;
    }
    await this.#rehash();
    return this.#hash.copy().digest("hex") === digestHex(digest);
  }

  close(): void {
    closeSync(this.#fd);
  }

  async #rehash(): Promise<void> {
    if (this.#hashed === this.#length) return;
    const buffer = new Uint8Array(Math.min(readBytes, this.#length - this.#hashed));
    for (let sinceTurn = 0; this.#hashed < this.#length;) {
      const read = readSync(this.#fd, buffer, 0, buffer.length, this.#hashed);
      if (read === 0) throw new GantryError("corrupt", `upload ${this.id} has lost its end`);
      this.#hash.update(buffer.subarray(0, read));
      this.#hashed += read;
      sinceTurn += read;
      if (sinceTurn < rehashTurnBytes) continue;
      sinceTurn = 0;
      await Bun.sleep(0);
    }
  }
}

/** A full disk told as such. */
export function told(path: string, error: unknown): unknown {
  return isErrno(error, "ENOSPC") || isErrno(error, "EDQUOT")
    ? new GantryError("exhausted", `no space left on device: ${path} cannot be written`, { cause: error })
    : error;
}
