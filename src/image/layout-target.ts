/** OCI image layouts written: into a directory, where what is there stays, or as a tar that is whole or not there at all. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { type Digest, digestAlgorithm, GantryError, toGantryError } from "../lib/index.ts";
import { syncDirectory } from "./content-store.ts";
import type { BlobWrite, ImageTarget } from "./endpoint.ts";
import {
  childrenOf,
  type Descriptor,
  isNonDistributable,
  mediaTypes,
  parseManifest,
  type RawManifest,
} from "./manifest.ts";
import { blobPath, checkLayoutVersion, openLayoutFiles, readLayoutIndex, refName } from "./oci-layout.ts";
import { TarFile } from "./tar-file.ts";
import { verifiedBytes } from "./verified-bytes.ts";

const version = Buffer.from(JSON.stringify({ imageLayoutVersion: "1.0.0" }));

/** Writes into a layout; the directory is made when missing. What is there stays. */
export async function createLayout(path: string): Promise<ImageTarget> {
  return new LayoutTarget(new LayoutDirectory(path));
}

/** The tar appears under its name when the target is closed after its last manifest, whole or not at all. */
export async function createLayoutArchive(file: string): Promise<ImageTarget> {
  return new LayoutTarget(new LayoutTar(file));
}

/** Where the files of a layout go. */
interface LayoutStore extends AsyncDisposable {
  readonly name: string;
  /** Entries of an index that is there already. */
  readonly entries: readonly Descriptor[];
  has(digest: Digest, size?: number): boolean;
  /** All of it or nothing. */
  write(digest: Digest, size: number, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** The whole index, whenever it has changed. */
  writeIndex(bytes: Uint8Array): void;
}

class LayoutTarget implements ImageTarget {
  readonly name: string;
  readonly #store: LayoutStore;
  #entries: readonly Descriptor[];
  /** Entries that were only made because no tag was given: they go when an index has them. */
  readonly #untagged = new Set<Digest>();

  constructor(store: LayoutStore) {
    this.name = store.name;
    this.#store = store;
    this.#entries = store.entries;
  }

  async hasBlob({ digest, size }: Descriptor): Promise<boolean> {
    return this.#store.has(digest, size);
  }

  async mountBlob(): Promise<boolean> {
    return false;
  }

  async putBlob(blob: Descriptor, write: BlobWrite): Promise<void> {
    if (this.#store.has(blob.digest, blob.size)) return;
    await this.#store.write(blob.digest, blob.size, verifiedBytes(blob, write));
  }

  async hasManifest(digest: Digest): Promise<boolean> {
    return this.#store.has(digest);
  }

  async putManifest(raw: RawManifest, tag?: string, signal?: AbortSignal): Promise<void> {
    const { digest, mediaType, bytes } = raw;
    const manifest = parseManifest(bytes, mediaType);
    const children = childrenOf(manifest);
    for (const child of children) {
      if (isNonDistributable(child) || this.#store.has(child.digest)) continue;
      throw new GantryError(
        "not-found",
        `${this.name} lacks ${child.digest}, which manifest ${digest} names`,
      );
    }
    const blob = { mediaType, digest, size: bytes.length };
    await this.putBlob(blob, { open: () => once(bytes), signal });
    if (tag === undefined) this.#untagged.add(digest);
    const inner = new Set(children.map((child) => child.digest));
    const kept = this.#entries.filter(
      (entry) =>
        !(tag !== undefined && entry.annotations?.[refName] === tag) &&
        !(this.#untagged.has(entry.digest) && inner.has(entry.digest)) &&
        !(entry.digest === digest && entry.annotations?.[refName] === tag),
    );
    const { artifactType } = manifest;
    const entry: Descriptor = {
      ...blob,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(tag === undefined ? {} : { annotations: { [refName]: tag } }),
    };
    this.#entries = [...kept, entry];
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: this.#entries };
    this.#store.writeIndex(Buffer.from(JSON.stringify(index)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}

class LayoutDirectory implements LayoutStore {
  readonly name: string;
  readonly entries: readonly Descriptor[];
  readonly #path: string;

  constructor(path: string) {
    this.name = `oci:${path}`;
    this.#path = path;
    try {
      fs.mkdirSync(join(path, "blobs/sha256"), { recursive: true });
      if (!fs.existsSync(join(path, "oci-layout"))) this.#put("oci-layout", version);
    } catch (error) {
      throw toGantryError(error, `make the layout ${path}`);
    }
    const files = openLayoutFiles(path);
    checkLayoutVersion(files);
    this.entries = fs.existsSync(join(path, "index.json")) ? readLayoutIndex(files).index.manifests : [];
  }

  has(digest: Digest, size?: number): boolean {
    const stat = fs.lstatSync(join(this.#path, blobPath(digest)), { throwIfNoEntry: false });
    return stat?.isFile() === true && (size === undefined || stat.size === size);
  }

  async write(digest: Digest, _size: number, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const dir = join(this.#path, "blobs", digestAlgorithm(digest));
    const temporary = join(this.#path, temporaryName());
    try {
      fs.mkdirSync(dir, { recursive: true });
      {
        await using file = await fs.promises.open(temporary, "wx", 0o644);
        for await (const chunk of bytes)
          for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
        await file.sync();
      }
      fs.renameSync(temporary, join(this.#path, blobPath(digest)));
      syncDirectory(dir);
    } catch (error) {
      fs.rmSync(temporary, { force: true });
      throw toGantryError(error, `${this.name}: write ${digest}`);
    }
  }

  writeIndex(bytes: Uint8Array): void {
    this.#put("index.json", bytes);
  }

  /** The old file or the new one, whatever happens. */
  #put(name: string, bytes: Uint8Array): void {
    const temporary = join(this.#path, temporaryName());
    try {
      const fd = fs.openSync(temporary, "wx", 0o644);
      try {
        fs.writeFileSync(fd, bytes);
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
      fs.renameSync(temporary, join(this.#path, name));
      syncDirectory(this.#path);
    } catch (error) {
      fs.rmSync(temporary, { force: true });
      throw toGantryError(error, `${this.name}: write ${name}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Everything is in its place already.
  }
}

const temporaryName = (): string => `.gantry-${randomBytes(8).toString("hex")}`;

class LayoutTar implements LayoutStore {
  readonly name: string;
  readonly entries: readonly Descriptor[] = [];
  readonly #tar: TarFile;
  readonly #sizes = new Map<Digest, number>();
  #index: Uint8Array | undefined;

  constructor(file: string) {
    this.name = `oci-archive:${file}`;
    this.#tar = new TarFile(file);
  }

  has(digest: Digest, size?: number): boolean {
    const known = this.#sizes.get(digest);
    return known !== undefined && (size === undefined || known === size);
  }

  async write(digest: Digest, size: number, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.has(digest)) return;
    await this.#tar.add({ path: blobPath(digest), size }, bytes);
    this.#sizes.set(digest, size);
  }

  writeIndex(bytes: Uint8Array): void {
    this.#index = bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#index === undefined) return this.#tar.discard();
    await this.#tar.addBytes("index.json", this.#index);
    await this.#tar.addBytes("oci-layout", version);
    await this.#tar.finish();
  }
}
