/** OCI image layouts (image-spec image-layout.md) as sources: a directory, or a tar of one. */
import * as fs from "node:fs";
import { join } from "node:path";
import {
  type Digest,
  digestAlgorithm,
  digestHex,
  digestLike,
  GantryError,
  isDigest,
  isErrno,
  sha256,
  toGantryError,
} from "../lib/index.ts";
import { ArchiveFile } from "./archive-file.ts";
import { readFile } from "./content-store.ts";
import type { BlobRead, ImageSource } from "./endpoint.ts";
import { parseJson } from "./image-config.ts";
import {
  type Descriptor,
  type ImageIndex,
  isManifestType,
  maxManifestBytes,
  mediaTypes,
  parseManifest,
  type RawManifest,
} from "./manifest.ts";

export const refName = "org.opencontainers.image.ref.name";
const fullName = "io.containerd.image.name";
/** Manifests that are looked at for a name or for referrers. */
const maxManifests = 10_000;
const maxDepth = 4;
const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;

/** The files of a layout. */
export interface LayoutFiles extends AsyncDisposable {
  /** For messages. */
  readonly name: string;
  /** @throws {GantryError} "corrupt" when it is missing, too large or no regular file */
  small(path: string): Uint8Array;
  /** @throws {GantryError} "not-found" */
  read(path: string, offset: number): AsyncIterable<Uint8Array>;
}

export const blobPath = (digest: Digest): string => `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;

/**
 * @param path the directory
 * @param tag `org.opencontainers.image.ref.name` of the image, or its digest; without, the layout must hold one image
 * @throws {GantryError} "not-found", "corrupt"
 */
export async function openLayout(path: string, tag?: string): Promise<ImageSource> {
  return new LayoutSource(new DirectoryFiles(path), tag);
}

/** As openLayout, of a tar (plain, gzip or zstd) of a layout. */
export async function openLayoutArchive(file: string, tag?: string): Promise<ImageSource> {
  const archive = await ArchiveFile.open(file);
  try {
    return new LayoutSource(new ArchivedFiles(archive), tag);
  } catch (error) {
    await archive[Symbol.asyncDispose]();
    throw error;
  }
}

/** The files of a layout in a directory. */
export function openLayoutFiles(path: string): LayoutFiles {
  return new DirectoryFiles(path);
}

/** No name in the layout leads out of it: no link is followed, nothing but regular files is read. */
class DirectoryFiles implements LayoutFiles {
  readonly name: string;
  readonly #path: string;

  constructor(path: string) {
    this.name = `oci:${path}`;
    this.#path = path;
  }

  small(path: string): Uint8Array {
    const fd = this.#open(path);
    try {
      if (fs.fstatSync(fd).size > maxManifestBytes)
        throw new GantryError("corrupt", `${path} in ${this.name} is larger than ${maxManifestBytes} bytes`);
      return fs.readFileSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  }

  read(path: string, offset: number): AsyncIterable<Uint8Array> {
    const fd = this.#open(path);
    return readOpen(fd, offset);
  }

  #open(path: string): number {
    const parts = path.split("/");
    try {
      for (let depth = 1; depth < parts.length; depth++) {
        const dir = parts.slice(0, depth).join("/");
        if (!fs.lstatSync(join(this.#path, dir)).isDirectory())
          throw new GantryError("corrupt", `${dir} in ${this.name} is not a directory`);
      }
      const fd = fs.openSync(join(this.#path, path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      if (fs.fstatSync(fd).isFile()) return fd;
      fs.closeSync(fd);
    } catch (error) {
      if (!isErrno(error, "ELOOP", "ENXIO")) throw toGantryError(error, `${this.name}: read ${path}`);
    }
    throw new GantryError("corrupt", `${path} in ${this.name} is not a regular file`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open between reads.
  }
}

async function* readOpen(fd: number, offset: number): AsyncGenerator<Uint8Array, void, void> {
  try {
    // The kernel's name of an open file: what is opened anew is that very file.
    yield* readFile(`/proc/self/fd/${fd}`, offset);
  } finally {
    fs.closeSync(fd);
  }
}

class ArchivedFiles implements LayoutFiles {
  readonly name: string;
  readonly #archive: ArchiveFile;

  constructor(archive: ArchiveFile) {
    this.name = `oci-archive:${archive.name}`;
    this.#archive = archive;
  }

  small(path: string): Uint8Array {
    this.#refuseLink(path);
    return this.#archive.bytes(path);
  }

  read(path: string, offset: number): AsyncIterable<Uint8Array> {
    this.#refuseLink(path);
    return this.#archive.read(this.#archive.get(path), offset);
  }

  #refuseLink(path: string): void {
    if (this.#archive.isLink(path))
      throw new GantryError("corrupt", `${path} in ${this.name} is a link, not a regular file`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#archive[Symbol.asyncDispose]();
  }
}

/** Reads and checks `oci-layout`. @throws {GantryError} */
export function checkLayoutVersion(files: Pick<LayoutFiles, "name" | "small">): void {
  const document = parseJson(files.small("oci-layout"), `oci-layout of ${files.name}`);
  const version =
    typeof document === "object" && document !== null && "imageLayoutVersion" in document
      ? document.imageLayoutVersion
      : undefined;
  if (typeof version !== "string")
    throw new GantryError("corrupt", `oci-layout of ${files.name} has no imageLayoutVersion`);
  if (!version.startsWith("1."))
    throw new GantryError(
      "unsupported",
      `${files.name} is of layout version ${version.slice(0, 40)}, known is 1.0.0`,
    );
}

/** @throws {GantryError} "corrupt" */
export function readLayoutIndex(files: Pick<LayoutFiles, "small">): {
  readonly bytes: Uint8Array;
  readonly index: ImageIndex;
} {
  const bytes = files.small("index.json");
  const index = parseManifest(bytes, mediaTypes.ociIndex);
  if (index.kind !== "index") throw new GantryError("corrupt", "index.json of the layout is no index");
  return { bytes, index };
}

class LayoutSource implements ImageSource {
  readonly name: string;
  readonly #files: LayoutFiles;
  readonly #index: ImageIndex;
  readonly #indexBytes: Uint8Array;
  readonly #main: Descriptor | "all";

  constructor(files: LayoutFiles, tag: string | undefined) {
    this.#files = files;
    this.name = tag === undefined ? files.name : `${files.name}:${tag}`;
    checkLayoutVersion(files);
    const { bytes, index } = readLayoutIndex(files);
    this.#index = index;
    this.#indexBytes = bytes;
    this.#main = tag === undefined ? this.#only() : this.#find(tag);
  }

  /** The one image; manifests without names but for different platforms are one image together. */
  #only(): Descriptor | "all" {
    const entries = this.#index.manifests.filter(({ mediaType }) => isManifestType(mediaType));
    const [first, ...others] = entries;
    if (first === undefined) throw new GantryError("not-found", `${this.name} holds no image`);
    if (others.length === 0) return first;
    if (entries.every((entry) => entry.platform !== undefined && nameOf(entry) === undefined)) return "all";
    const names = entries.flatMap((entry) => nameOf(entry) ?? []);
    throw new GantryError("invalid", `${this.name} holds ${entries.length} images: choose one`, {
      hint: names.length === 0 ? "name it by its digest" : `there are: ${names.slice(0, 30).join(", ")}`,
    });
  }

  #find(tag: string): Descriptor {
    const found = isDigest(tag)
      ? this.#entries().find(({ digest }) => digest === tag)
      : // A name may be given twice: the last one is the one that was written last.
        this.#index.manifests.findLast(
          (entry) => nameOf(entry) === tag || entry.annotations?.[fullName] === tag,
        );
    if (found !== undefined) return found;
    const names = this.#index.manifests.flatMap((entry) => nameOf(entry) ?? []);
    throw new GantryError(
      "not-found",
      `no image ${JSON.stringify(tag.slice(0, 160))} in ${this.#files.name}`,
      {
        hint: names.length === 0 ? "its images have no names" : `there are: ${names.slice(0, 30).join(", ")}`,
      },
    );
  }

  /** Descriptors of the index and of the indexes in it, bounded. */
  #entries(): readonly Descriptor[] {
    const found = new Map<Digest, Descriptor>();
    const visit = (entries: readonly Descriptor[], depth: number): void => {
      for (const entry of entries) {
        if (found.has(entry.digest)) continue;
        found.set(entry.digest, entry);
        if (found.size > maxManifests || depth > maxDepth)
          throw new GantryError("corrupt", `the index of ${this.name} is too large or nested too deep`);
        if (entry.mediaType !== mediaTypes.ociIndex && entry.mediaType !== mediaTypes.dockerList) continue;
        const manifest = parseManifest(this.#verified(entry), entry.mediaType);
        if (manifest.kind === "index") visit(manifest.manifests, depth + 1);
      }
    };
    visit(this.#index.manifests, 0);
    return [...found.values()];
  }

  #verified({ digest }: Pick<Descriptor, "digest">): Uint8Array {
    const bytes = this.#files.small(blobPath(digest));
    const actual = digestLike(digest, bytes);
    if (actual !== digest)
      throw new GantryError("corrupt", `blob ${digest} in ${this.name} has digest ${actual}`);
    return bytes;
  }

  async manifest(reference?: string): Promise<RawManifest> {
    if (this.#main === "all") {
      const bytes = this.#indexBytes;
      const all = { digest: sha256(bytes), mediaType: mediaTypes.ociIndex, bytes };
      if (reference === undefined || reference === all.digest) return all;
    } else if (reference === undefined) return this.#raw(this.#main);
    return this.#raw(this.#find(reference));
  }

  #raw({ digest, mediaType }: Descriptor): RawManifest {
    return { digest, mediaType, bytes: this.#verified({ digest }) };
  }

  async *blob(blob: Descriptor, { offset = 0 }: BlobRead = {}): AsyncGenerator<Uint8Array, void, void> {
    yield* this.#files.read(blobPath(blob.digest), offset);
  }

  async referrers(subject: Digest, artifactType?: string): Promise<readonly Descriptor[]> {
    const found: Descriptor[] = [];
    for (const entry of this.#entries()) {
      if (!isManifestType(entry.mediaType)) continue;
      const manifest = parseManifest(this.#verified(entry), entry.mediaType);
      if (manifest.subject?.digest !== subject) continue;
      const type =
        manifest.artifactType ?? (manifest.kind === "image" ? manifest.config.mediaType : undefined);
      if (artifactType !== undefined && type !== artifactType) continue;
      const { digest, mediaType, size } = entry;
      const { annotations } = manifest;
      found.push({
        mediaType,
        digest,
        size,
        ...(type === undefined ? {} : { artifactType: type }),
        ...(annotations === undefined ? {} : { annotations }),
      });
    }
    return found;
  }

  async tags(): Promise<readonly string[]> {
    return [...new Set(this.#index.manifests.flatMap((entry) => nameOf(entry) ?? []))].sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
  }
}

const nameOf = ({ annotations }: Descriptor): string | undefined => annotations?.[refName];
