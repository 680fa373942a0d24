/**
 * An archive of images arrives as a stream and is understood only at its end. Its layers are unpacked while they stream by,
 * before it is known what they belong to; everything else is written to disk, digested on the way.
 */
import { createHash, type Hash } from "node:crypto";
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
import { BytePipe } from "./byte-pipe.ts";
import { throwIfAborted } from "./child.ts";
import { decompress, detectCompression } from "./compression.ts";
import type { ContentStore, SpooledFile } from "./content-store.ts";
import { maxConfigBytes, parseJson } from "./image-config.ts";
import type { AppliedLayer, LayerMaker } from "./layer-maker.ts";
import type { LayerStore } from "./layer-store.ts";
import { Limiter } from "./limiter.ts";

/** An archive of images holds a few files a layer. */
const maxFiles = 20_000;
const maxLinks = 8;
/** Unpacked at a time: one streams by while others are brought to disk. */
const maxUnpacking = 3;

export interface SpoolOptions {
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

export interface SpoolParts {
  readonly content: ContentStore;
  readonly layers: LayerStore;
  readonly maker: LayerMaker;
}

/** A file of the archive: on disk, unpacked as a layer, or both. */
export interface ArchivedFile {
  /** Of its bytes; undefined when unpacking it failed. */
  readonly digest: Digest | undefined;
  readonly size: number;
  readonly file: SpooledFile | undefined;
  /** Whoever takes the layer sets it to undefined. */
  applied: AppliedLayer | undefined;
  /** Why it could not be unpacked. */
  readonly failure: unknown;
}

interface OpenFile {
  readonly entry: TarEntry;
  readonly handle: number | undefined;
  readonly path: string;
  readonly hash: Hash;
  readonly pipe: BytePipe | undefined;
  readonly applied: Promise<Outcome> | undefined;
  /** Bytes so far, holes included. */
  position: number;
}

interface Outcome {
  readonly layer?: AppliedLayer;
  readonly failure?: unknown;
}

const zeros = new Uint8Array(1 << 16);
const tarBlock = 512;

/** The files of one archive. Dispose of it when the images are made. */
export class Spool implements AsyncDisposable {
  readonly #parts: SpoolParts;
  readonly #options: SpoolOptions;
  readonly #files = new Map<string, Promise<ArchivedFile>>();
  readonly #ready = new Map<string, ArchivedFile>();
  /** Old docker archives name a layer's file once and link to it. */
  readonly #links = new Map<string, string>();
  readonly #limiter = new Limiter(maxUnpacking);
  readonly #called = new AbortController();
  #open: OpenFile | undefined;
  /** The entry whose first bytes have not come. */
  #next: TarEntry | undefined;
  #bytes = 0;

  private constructor(parts: SpoolParts, options: SpoolOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Reads all of an archive, compressed or not. @throws {GantryError} "corrupt", "exhausted" */
  static async read(
    parts: SpoolParts,
    source: AsyncIterable<Uint8Array>,
    options: SpoolOptions,
  ): Promise<Spool> {
    const spool = new Spool(parts, options);
    try {
      const reader = new TarReader({ maxEntries: maxFiles });
      for await (const chunk of decompress(source, { maxBytes: options.maxBytes })) {
        throwIfAborted(options.signal);
        for (const event of reader.push(chunk)) await spool.#take(event);
      }
      reader.finish();
      for (const [name, file] of spool.#files) spool.#ready.set(name, await file);
      return spool;
    } catch (error) {
      await spool[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** @param path as the archive has it; links inside the archive are followed */
  find(path: string): ArchivedFile | undefined {
    let name = clean(path);
    for (let hops = 0; hops < maxLinks; hops++) {
      const file = this.#ready.get(name);
      const target = this.#links.get(name);
      if (file !== undefined || target === undefined) return file;
      name = target;
    }
    return undefined;
  }

  /** @throws {GantryError} "corrupt" when the archive lacks the file */
  get(path: string): ArchivedFile {
    const file = this.find(path);
    if (file === undefined)
      throw new GantryError("corrupt", `the archive lacks ${JSON.stringify(path)}, which it names`);
    if (file.failure !== undefined) throw file.failure;
    return file;
  }

  /** A blob of an OCI layout. @throws {GantryError} "corrupt" when its bytes have another digest */
  blob(digest: Digest): ArchivedFile {
    const path = `blobs/${digest.replace(":", "/")}`;
    const file = this.get(path);
    if (file.digest !== digest)
      throw new GantryError("corrupt", `${path} in the archive has digest ${file.digest}`);
    return file;
  }

  /** A small document. */
  json(file: ArchivedFile, name: string): unknown {
    return parseJson(this.bytes(file, name), name);
  }

  bytes({ file }: ArchivedFile, name: string): Uint8Array {
    if (file === undefined)
      throw new GantryError("corrupt", `${name} in the archive is a tar, not a document`);
    if (file.size > maxConfigBytes)
      throw new GantryError("corrupt", `${name} in the archive is larger than ${maxConfigBytes} bytes`);
    return fs.readFileSync(file.path);
  }

  /** Deletes what has not been taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    const late = new GantryError("canceled", "the archive was not read to its end");
    this.#called.abort(late);
    open?.pipe?.fail(late);
    await (await open?.applied)?.layer?.[Symbol.asyncDispose]();
    if (open?.handle !== undefined) fs.closeSync(open.handle);
    if (open !== undefined) fs.rmSync(open.path, { force: true });
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const file of files) await forget(await file);
  }

  async #take(event: TarEvent): Promise<void> {
    try {
      if (event.kind === "entry") this.#announce(event.entry);
      else if (event.kind === "data") await this.#write(event.offset, event.bytes);
      else await this.#end();
    } catch (error) {
      if (!isErrno(error, "ENOSPC", "EDQUOT")) throw error;
      throw noSpace(`store ${event.entry.path} of the archive`, error);
    }
  }

  #announce(entry: TarEntry): void {
    const name = clean(entry.path);
    if (entry.type === "symlink")
      this.#links.set(name, clean(posix.join(posix.dirname(name), entry.linkPath)));
    if (entry.type === "hardlink") this.#links.set(name, clean(entry.linkPath));
    if (entry.type !== "file") return;
    this.#bytes += entry.size;
    if (this.#bytes > this.#options.maxBytes)
      throw noSpace(`store ${entry.path} of the archive (${entry.size} bytes)`, undefined);
    this.#next = entry;
  }

  /** What a file is, is told by its first bytes. */
  #begin(entry: TarEntry, head: Uint8Array): OpenFile {
    const { content, layers } = this.#parts;
    const kind = layerKind(head, entry.size);
    // A plain tar that the layer keeps in itself need not be kept beside it.
    const isKept = kind !== "tar" || !layers.keepsArchives;
    const path = content.temporaryPath("spool");
    const pipe = kind === undefined ? undefined : new BytePipe();
    return {
      entry,
      handle: isKept ? fs.openSync(path, "wx", 0o600) : undefined,
      path,
      hash: createHash("sha256"),
      pipe,
      applied: pipe === undefined ? undefined : this.#unpack(pipe),
      position: 0,
    };
  }

  async #unpack(pipe: BytePipe): Promise<Outcome> {
    const { signal: outer } = this.#options;
    const signal = outer === undefined ? this.#called.signal : AbortSignal.any([outer, this.#called.signal]);
    try {
      const work = { source: pipe, diffId: undefined, signal };
      return { layer: await this.#limiter.run(() => this.#parts.maker.apply(work, "if-ours")) };
    } catch (failure) {
      return { failure };
    } finally {
      pipe.leave();
    }
  }

  async #write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#next !== undefined) {
      this.#open = this.#begin(this.#next, offset === 0 ? bytes : zeros);
      this.#next = undefined;
    }
    const file = this.#open;
    if (file === undefined) return;
    await passHole(file, offset);
    await this.#put(file, bytes);
  }

  async #put(file: OpenFile, bytes: Uint8Array): Promise<void> {
    if (file.handle !== undefined) {
      file.hash.update(bytes);
      for (let at = 0; at < bytes.length;)
        at += fs.writeSync(file.handle, bytes, at, bytes.length - at, file.position + at);
    }
    file.position += bytes.length;
    await file.pipe?.write(bytes);
  }

  async #end(): Promise<void> {
    if (this.#next !== undefined) {
      this.#open = this.#begin(this.#next, zeros);
      this.#next = undefined;
    }
    const file = this.#open;
    if (file === undefined) return;
    await passHole(file, file.entry.size);
    this.#open = undefined;
    file.pipe?.end();
    if (file.handle !== undefined) {
      fs.ftruncateSync(file.handle, file.entry.size);
      fs.closeSync(file.handle);
    }
    const name = clean(file.entry.path);
    // A later entry of the same name replaces the earlier one.
    const earlier = this.#files.get(name);
    this.#links.delete(name);
    this.#files.set(name, archived(file));
    if (earlier !== undefined) await forget(await earlier);
  }
}

async function archived({ applied, entry, handle, hash, path }: OpenFile): Promise<ArchivedFile> {
  const { size } = entry;
  const kept =
    handle === undefined ? undefined : { path, size, digest: parseDigest(`sha256:${hash.digest("hex")}`) };
  const { layer, failure } = (await applied) ?? {};
  return {
    digest: kept?.digest ?? layer?.tar.digest,
    size,
    file: kept,
    applied: layer,
    failure: kept === undefined ? failure : undefined,
  };
}

async function forget({ applied, file }: ArchivedFile): Promise<void> {
  await applied?.[Symbol.asyncDispose]();
  if (file !== undefined) fs.rmSync(file.path, { force: true });
}

/** Compressed, or a tar by the mark of its first header; all else is a document or not worth the try. */
function layerKind(head: Uint8Array, size: number): "tar" | "compressed" | undefined {
  if (size < 2 * tarBlock && head[0] !== 0x1f && head[0] !== 0x28) return undefined;
  try {
    if (detectCompression(head) !== "none") return "compressed";
  } catch {
    // "unsupported": it is told when an image turns out to need the file.
    return undefined;
  }
  return Buffer.from(head.subarray(257, 262)).toString("latin1") === "ustar" ? "tar" : undefined;
}

/** A sparse file's hole is zeros. */
async function passHole(file: OpenFile, end: number): Promise<void> {
  while (file.position < end) {
    const piece = zeros.subarray(0, Math.min(zeros.length, end - file.position));
    if (file.handle !== undefined) file.hash.update(piece);
    file.position += piece.length;
    await file.pipe?.write(piece);
  }
}

function noSpace(what: string, cause: unknown): GantryError {
  return new GantryError("exhausted", `no space left on device: ${what}`, {
    hint: "free disk space, for example with: gantry system prune",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A path of the archive in one spelling. It is only ever looked up, never opened. */
function clean(path: string): string {
  return posix.normalize(`/${path}`).slice(1).replace(/\/$/, "");
}
