/**
 * Blobs by digest: `blobs/ALGORITHM/HEX`. A blob is written to a temporary name, synced, verified and renamed, so that one
 * that is there is whole. Holds the layers of archives that only their own bytes can reproduce.
 */
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import {
  type Digest,
  digestHex,
  GantryError,
  isDigest,
  isErrno,
  parseDigest,
  toGantryError,
} from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";
import { type Compression, detectCompression } from "./compression.ts";

export interface IngestOptions {
  /** Refused when the bytes have another digest. */
  readonly expected?: Digest | undefined;
  /** What is being stored, in words for errors. */
  readonly what: string;
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

export interface StoredBlob {
  readonly digest: Digest;
  readonly size: number;
}

/** A file under a temporary name, with the digest of its bytes. */
export interface SpooledFile extends StoredBlob {
  readonly path: string;
}

const algorithms = ["sha256", "sha512"] as const;

export class ContentStore {
  /** Temporary files and directories; all that is in it at start is left over from a crash. */
  readonly temporary: string;
  readonly #blobs: string;
  readonly #pins = new Map<Digest, number>();

  /** @param root the data directory; `blobs` and `ingest` are made below it */
  constructor(root: string) {
    this.#blobs = join(root, "blobs");
    this.temporary = join(root, "ingest");
    for (const algorithm of algorithms)
      fs.mkdirSync(join(this.#blobs, algorithm), { recursive: true, mode: 0o700 });
    fs.mkdirSync(this.temporary, { recursive: true, mode: 0o700 });
  }

  path(digest: Digest): string {
    return join(this.#blobs, digest.slice(0, digest.indexOf(":")), digestHex(digest));
  }

  /** Bytes of a blob; undefined when it is not here. */
  size(digest: Digest): number | undefined {
    return fs.statSync(this.path(digest), { throwIfNoEntry: false })?.size;
  }

  /** @throws {GantryError} "not-found" */
  read(digest: Digest, offset = 0): AsyncIterable<Uint8Array> {
    if (this.size(digest) === undefined) throw new GantryError("not-found", `no such blob: ${digest}`);
    return readFile(this.path(digest), offset);
  }

  /** How a blob is compressed, by its first bytes: media types lie. @throws {GantryError} "unsupported" */
  compression(digest: Digest): Compression {
    const head = Buffer.alloc(headBytes);
    const fd = fs.openSync(this.path(digest), "r");
    try {
      return detectCompression(head.subarray(0, fs.readSync(fd, head, 0, headBytes, 0)));
    } finally {
      fs.closeSync(fd);
    }
  }

  /** Nothing removes the blob until the pin is disposed of, although no record names it. */
  pin(digest: Digest): Disposable {
    this.#pins.set(digest, (this.#pins.get(digest) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const left = (this.#pins.get(digest) ?? 1) - 1;
        if (left === 0) this.#pins.delete(digest);
        else this.#pins.set(digest, left);
      },
    };
  }

  isPinned(digest: Digest): boolean {
    return this.#pins.has(digest);
  }

  /** A name in the temporary directory that nothing has. */
  temporaryPath(kind: string): string {
    return join(this.temporary, `${kind}-${randomBytes(8).toString("hex")}`);
  }

  /**
   * Writes a stream to a temporary file and digests it.
   * @throws {GantryError} "exhausted" beyond maxBytes or when the disk is full; "corrupt" for another digest than expected
   */
  async spool(source: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<SpooledFile> {
    const path = this.temporaryPath("blob");
    const hash = createHash(options.expected?.startsWith("sha512:") === true ? "sha512" : "sha256");
    let size = 0;
    try {
      await using file = await fs.promises.open(path, "wx", 0o600);
      for await (const chunk of source) {
        throwIfAborted(options.signal);
        size += chunk.length;
        if (size > options.maxBytes) throw noSpace(options, size);
        hash.update(chunk);
        for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
      }
      const digest = parseDigest(
        `${options.expected?.startsWith("sha512:") === true ? "sha512" : "sha256"}:${hash.digest("hex")}`,
      );
      if (options.expected !== undefined && digest !== options.expected) {
        throw new GantryError(
          "corrupt",
          `${options.what} has digest ${digest}, expected ${options.expected}`,
          {
            hint: "get or make the archive anew",
          },
        );
      }
      return { path, digest, size };
    } catch (error) {
      fs.rmSync(path, { force: true });
      if (isErrno(error, "ENOSPC", "EDQUOT")) throw noSpace(options, size, error);
      throw toGantryError(error, `store ${options.what}`);
    }
  }

  /**
   * Syncs a spooled file and takes it in. The temporary name is gone afterwards.
   * @param synced its bytes have been synced already
   */
  async adopt({ path, digest, size }: SpooledFile, synced = false): Promise<StoredBlob> {
    if (!synced) {
      await using file = await fs.promises.open(path, "r");
      await file.sync();
    }
    fs.renameSync(path, this.path(digest));
    syncDirectory(join(this.#blobs, digest.slice(0, digest.indexOf(":"))));
    return { digest, size };
  }

  /** spool and adopt in one. */
  async ingest(source: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<StoredBlob> {
    const file = await this.spool(source, options);
    try {
      return await this.adopt(file);
    } finally {
      fs.rmSync(file.path, { force: true });
    }
  }

  /** Removes a blob if it is here and not pinned; returns the bytes freed. */
  remove(digest: Digest): number {
    const size = this.#pins.has(digest) ? undefined : this.size(digest);
    if (size === undefined) return 0;
    fs.rmSync(this.path(digest), { force: true });
    return size;
  }

  /** Removes every blob that `isReferenced` does not claim, and foreign files among them; returns the bytes freed. */
  collect(isReferenced: (digest: Digest) => boolean): number {
    let freed = 0;
    for (const algorithm of algorithms) {
      for (const name of fs.readdirSync(join(this.#blobs, algorithm))) {
        const digest = `${algorithm}:${name}`;
        if (isDigest(digest) && (this.#pins.has(digest) || isReferenced(digest))) continue;
        const path = join(this.#blobs, algorithm, name);
        freed += fs.statSync(path).size;
        fs.rmSync(path, { recursive: true, force: true });
      }
    }
    return freed;
  }
}

function noSpace(options: IngestOptions, size: number, cause?: unknown): GantryError {
  return new GantryError(
    "exhausted",
    `no space left on device: store ${options.what} (${size} bytes or more)`,
    {
      hint: "free disk space, for example with: gantry system prune",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

const headBytes = 16;

const pieceBytes = 1 << 18;

/** A file's bytes in pieces, read no faster than they are taken. */
export async function* readFile(
  path: string,
  offset = 0,
  end = Infinity,
): AsyncGenerator<Uint8Array, void, void> {
  await using file = await fs.promises.open(path, "r");
  for (let at = offset; at < end;) {
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, end - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}

/** Makes renames in a directory survive a power cut. */
export function syncDirectory(path: string): void {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
