/** An upload on disk: bytes are appended and hashed as they come. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { type Digest, digestAlgorithm, digestHex, GantryError, isErrno } from "../lib/index.ts";
import { RegistryError } from "./errors.ts";

export type DigestAlgorithm = "sha256" | "sha512";

/** Bytes gathered before they are written and hashed together, or read again at once. */
const pieceBytes = 1 << 20;
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
    return told(
      path,
      () => new UploadFile(id, path, openSync(path, O_RDWR | O_CREAT | O_EXCL, 0o600), algorithm),
    );
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

  /** @throws {GantryError} "exhausted" when the disk is full: what has been written of this call is cut off again */
  async append(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
    for await (const piece of source) {
      if (this.#length + piece.length > maxBytes)
        throw new RegistryError("SIZE_INVALID", `the blob has more than ${maxBytes} bytes`, { status: 413 });
      this.write(piece);
    }
    return this.#length;
  }

  write(piece: Uint8Array): void {
    try {
      told(this.path, () => {
        for (let at = 0; at < piece.length;)
          at += writeSync(this.#fd, piece, at, piece.length - at, this.#length + at);
      });
    } catch (error) {
      ftruncateSync(this.#fd, this.#length);
      throw error;
    }
    if (this.#hashed === this.#length) {
      this.#hash.update(piece);
      this.#hashed += piece.length;
    }
    this.#length += piece.length;
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
    const buffer = new Uint8Array(Math.min(pieceBytes, this.#length - this.#hashed));
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

/** Does it with a full disk told as such. */
export function told<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (isErrno(error, "ENOSPC") || isErrno(error, "EDQUOT"))
      throw new GantryError("exhausted", `no space left on device: ${path} cannot be written`, {
        cause: error,
      });
    throw error;
  }
}
