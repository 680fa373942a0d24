/**
 * A tar of an image, as a file that is read out of order: looked through once, without extracting anything. A compressed
 * one is decompressed to a temporary file first.
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { type Digest, GantryError, parseDigest, TarReader, toGantryError } from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";
import { decompress, detectCompression } from "./compression.ts";
import { readFile } from "./content-store.ts";
import { maxConfigBytes } from "./image-config.ts";

/** An archive of images holds a few files a layer. */
const maxFiles = 20_000;
const maxLinks = 8;

interface StoredFile {
  /** Of its bytes in the tar. */
  readonly offset: number;
  readonly size: number;
  readonly digest: Digest;
}

export interface ArchiveOptions {
  readonly signal?: AbortSignal | undefined;
}

export class ArchiveFile implements AsyncDisposable {
  readonly name: string;
  readonly #path: string;
  readonly #temporary: string | undefined;
  readonly #files = new Map<string, StoredFile>();
  readonly #links = new Map<string, string>();

  private constructor(name: string, path: string, temporary: string | undefined) {
    this.name = name;
    this.#path = path;
    this.#temporary = temporary;
  }

  /** @throws {GantryError} "not-found", "corrupt" */
  static async open(name: string, { signal }: ArchiveOptions = {}): Promise<ArchiveFile> {
    const kind = detectCompression(headOf(name));
    const temporary = kind === "none" ? undefined : fs.mkdtempSync(join(tmpdir(), "gantry-archive-"));
    const path = temporary === undefined ? name : join(temporary, "tar");
    const archive = new ArchiveFile(name, path, temporary);
    try {
      if (temporary !== undefined)
        await unpackTo(path, decompress(readFile(name), { maxBytes: freeBytes(temporary) }));
      await archive.#scan(signal);
      return archive;
    } catch (error) {
      await archive[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The file, links inside the archive followed. */
  find(path: string): StoredFile | undefined {
    let name = clean(path);
    for (let hops = 0; hops < maxLinks; hops++) {
      const file = this.#files.get(name);
      const target = this.#links.get(name);
      if (file !== undefined || target === undefined) return file;
      name = target;
    }
    return undefined;
  }

  /** True when the archive has a link by this name. */
  isLink(path: string): boolean {
    return this.#links.has(clean(path));
  }

  /** @throws {GantryError} "corrupt" when the archive lacks the file */
  get(path: string): StoredFile {
    const file = this.find(path);
    if (file !== undefined) return file;
    throw new GantryError("corrupt", `${this.name} lacks ${JSON.stringify(path)}, which it names`);
  }

  /** A small document. */
  bytes(path: string): Uint8Array {
    const { offset, size } = this.get(path);
    if (size > maxConfigBytes)
      throw new GantryError("corrupt", `${path} in ${this.name} is larger than ${maxConfigBytes} bytes`);
    const bytes = Buffer.alloc(size);
    const fd = fs.openSync(this.#path, "r");
    try {
      for (let at = 0, count = -1; at < size && count !== 0; at += count)
        count = fs.readSync(fd, bytes, at, size - at, offset + at);
    } finally {
      fs.closeSync(fd);
    }
    return bytes;
  }

  read({ offset, size }: StoredFile, from = 0): AsyncIterable<Uint8Array> {
    return readFile(this.#path, offset + from, offset + size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#temporary !== undefined) fs.rmSync(this.#temporary, { recursive: true, force: true });
  }

  async #scan(signal: AbortSignal | undefined): Promise<void> {
    const reader = new TarReader({ maxEntries: maxFiles });
    let start = 0;
    let offset = 0;
    let hash = createHash("sha256");
    for await (const chunk of readFile(this.#path)) {
      throwIfAborted(signal);
      for (const event of reader.push(chunk)) {
        const name = clean(event.entry.path);
        if (event.kind === "entry") {
          // A later entry of the same name replaces the earlier one.
          this.#files.delete(name);
          this.#links.delete(name);
          hash = createHash("sha256");
          offset = -1;
          this.#link(name, event.entry);
        } else if (event.kind === "data") {
          const at = start + event.bytes.byteOffset - chunk.byteOffset;
          if (offset < 0) offset = at - event.offset;
          if (at - event.offset !== offset) throw sparse(this.name, event.entry.path);
          hash.update(event.bytes);
        } else if (event.entry.type === "file") {
          const { size } = event.entry;
          if (size > 0 && offset < 0) throw sparse(this.name, event.entry.path);
          const digest = parseDigest(`sha256:${hash.digest("hex")}`);
          this.#files.set(name, { offset: Math.max(0, offset), size, digest });
        }
      }
      start += chunk.length;
    }
    reader.finish();
  }

  #link(name: string, { type, linkPath }: { readonly type: string; readonly linkPath: string }): void {
    if (type === "symlink") this.#links.set(name, clean(posix.join(posix.dirname(name), linkPath)));
    if (type === "hardlink") this.#links.set(name, clean(linkPath));
  }
}

/** A path of the archive in one spelling. It is only ever looked up, never opened. */
function clean(path: string): string {
  return posix.normalize(`/${path}`).slice(1).replace(/\/$/, "");
}

function sparse(name: string, path: string): GantryError {
  return new GantryError("unsupported", `${name} holds the sparse file ${JSON.stringify(path)}`, {
    hint: "make the archive without --sparse",
  });
}

function headOf(path: string): Uint8Array {
  const head = Buffer.alloc(16);
  let fd: number;
  try {
    if (!fs.statSync(path).isFile()) throw new GantryError("invalid", `${path} is not a regular file`);
    fd = fs.openSync(path, "r");
  } catch (error) {
    throw toGantryError(error, `open ${path}`);
  }
  try {
    return head.subarray(0, fs.readSync(fd, head, 0, head.length, 0));
  } finally {
    fs.closeSync(fd);
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = fs.statfsSync(path);
  return bavail * bsize;
}

async function unpackTo(path: string, source: AsyncIterable<Uint8Array>): Promise<void> {
  await using file = await fs.promises.open(path, "wx", 0o600);
  try {
    for await (const chunk of source)
      for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
  } catch (error) {
    throw toGantryError(error, `decompress to ${path}`);
  }
}
