/** An archive of images arrives as a stream and is read out of order: its files are spooled to disk, digested on the way. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { posix } from "node:path";
import {
  type Digest,
  GantryError,
  isErrno,
  parseDigest,
  type TarEntry,
  type TarEvent,
  TarReader,
} from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";
import { decompress } from "./compression.ts";
import type { ContentStore, SpooledFile } from "./content-store.ts";
import { maxConfigBytes, parseJson } from "./image-config.ts";

/** An archive of images holds a few files a layer. */
const maxFiles = 20_000;
const maxLinks = 8;

export interface SpoolOptions {
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

interface OpenFile {
  readonly handle: number;
  readonly path: string;
  readonly hash: ReturnType<typeof createHash>;
  readonly entry: TarEntry;
  /** Bytes so far, holes included. */
  position: number;
}

const zeros = new Uint8Array(1 << 16);

/** The files of one archive. Dispose of it when the images are made. */
export class Spool {
  readonly #content: ContentStore;
  readonly #options: SpoolOptions;
  readonly #files = new Map<string, SpooledFile>();
  /** Old docker archives name a layer's file once and link to it. */
  readonly #links = new Map<string, string>();
  #open: OpenFile | undefined;
  #bytes = 0;

  private constructor(content: ContentStore, options: SpoolOptions) {
    this.#content = content;
    this.#options = options;
  }

  /** Reads all of an archive, compressed or not. @throws {GantryError} "corrupt", "exhausted" */
  static async read(
    content: ContentStore,
    source: AsyncIterable<Uint8Array>,
    options: SpoolOptions,
  ): Promise<Spool> {
    const spool = new Spool(content, options);
    try {
      const reader = new TarReader({ maxEntries: maxFiles });
      for await (const chunk of decompress(source, { maxBytes: options.maxBytes })) {
        throwIfAborted(options.signal);
        for (const event of reader.push(chunk)) spool.#take(event);
      }
      reader.finish();
      return spool;
    } catch (error) {
      spool.dispose();
      throw error;
    }
  }

  /** @param path as the archive has it; links inside the archive are followed */
  find(path: string): SpooledFile | undefined {
    let name = clean(path);
    for (let hops = 0; hops < maxLinks; hops++) {
      const file = this.#files.get(name);
      const target = this.#links.get(name);
      if (file !== undefined || target === undefined) return file;
      name = target;
    }
    return undefined;
  }

  /** @throws {GantryError} "corrupt" when the archive lacks the file */
  get(path: string): SpooledFile {
    const file = this.find(path);
    if (file === undefined)
      throw new GantryError("corrupt", `the archive lacks ${JSON.stringify(path)}, which it names`);
    return file;
  }

  /** A blob of an OCI layout. @throws {GantryError} "corrupt" when its bytes have another digest */
  blob(digest: Digest): SpooledFile {
    const path = `blobs/${digest.replace(":", "/")}`;
    const file = this.get(path);
    if (file.digest !== digest)
      throw new GantryError("corrupt", `${path} in the archive has digest ${file.digest}`);
    return file;
  }

  /** A small document. */
  json(file: SpooledFile, name: string): unknown {
    return parseJson(this.bytes(file, name), name);
  }

  bytes(file: SpooledFile, name: string): Uint8Array {
    if (file.size > maxConfigBytes)
      throw new GantryError("corrupt", `${name} in the archive is larger than ${maxConfigBytes} bytes`);
    return fs.readFileSync(file.path);
  }

  /** Deletes what has not been adopted. */
  dispose(): void {
    if (this.#open !== undefined) {
      fs.closeSync(this.#open.handle);
      fs.rmSync(this.#open.path, { force: true });
    }
    for (const { path } of this.#files.values()) fs.rmSync(path, { force: true });
    this.#open = undefined;
    this.#files.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #take(event: TarEvent): void {
    try {
      if (event.kind === "entry") this.#begin(event.entry);
      else if (event.kind === "data") this.#write(event.offset, event.bytes);
      else this.#end();
    } catch (error) {
      if (!isErrno(error, "ENOSPC", "EDQUOT")) throw error;
      throw new GantryError(
        "exhausted",
        `no space left on device: store ${event.entry.path} of the archive`,
        {
          cause: error,
          hint: "free disk space, for example with: gantry system prune",
        },
      );
    }
  }

  #begin(entry: TarEntry): void {
    const name = clean(entry.path);
    if (entry.type === "symlink")
      this.#links.set(name, clean(posix.join(posix.dirname(name), entry.linkPath)));
    if (entry.type === "hardlink") this.#links.set(name, clean(entry.linkPath));
    if (entry.type !== "file") return;
    this.#bytes += entry.size;
    if (this.#bytes > this.#options.maxBytes) {
      throw new GantryError(
        "exhausted",
        `no space left on device: store ${entry.path} of the archive (${entry.size} bytes)`,
        {
          hint: "free disk space, for example with: gantry system prune",
        },
      );
    }
    const path = this.#content.temporaryPath("spool");
    this.#open = {
      handle: fs.openSync(path, "wx", 0o600),
      path,
      hash: createHash("sha256"),
      entry,
      position: 0,
    };
  }

  #write(offset: number, bytes: Uint8Array): void {
    const file = this.#open;
    if (file === undefined) return;
    digestHole(file, offset);
    file.hash.update(bytes);
    for (let at = 0; at < bytes.length;)
      at += fs.writeSync(file.handle, bytes, at, bytes.length - at, offset + at);
    file.position = offset + bytes.length;
  }

  #end(): void {
    const file = this.#open;
    if (file === undefined) return;
    this.#open = undefined;
    digestHole(file, file.entry.size);
    fs.ftruncateSync(file.handle, file.entry.size);
    fs.closeSync(file.handle);
    const name = clean(file.entry.path);
    // A later entry of the same name replaces the earlier one.
    const earlier = this.#files.get(name);
    if (earlier !== undefined) fs.rmSync(earlier.path, { force: true });
    this.#links.delete(name);
    const digest = parseDigest(`sha256:${file.hash.digest("hex")}`);
    this.#files.set(name, { path: file.path, digest, size: file.entry.size });
  }
}

/** A sparse file's hole is zeros. */
function digestHole(file: OpenFile, end: number): void {
  for (; file.position < end; file.position += Math.min(zeros.length, end - file.position)) {
    file.hash.update(zeros.subarray(0, Math.min(zeros.length, end - file.position)));
  }
}

/** A path of the archive in one spelling. It is only ever looked up, never opened. */
function clean(path: string): string {
  return posix.normalize(`/${path}`).slice(1).replace(/\/$/, "");
}
