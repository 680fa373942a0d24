/** A source of images in memory, which can be told to fail: what a registry, honest or not, is to the store. */
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { BlobRead, Descriptor, ImageSource, RawManifest } from "../../src/image/index.ts";
import { mediaTypes } from "../../src/image/index.ts";
import { type Digest, GantryError, sha256 } from "../../src/lib/index.ts";

export interface MadeImage {
  readonly id: Digest;
  readonly config: Buffer;
  readonly manifest: RawManifest;
  /** Compressed, bottom first. */
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
}

export interface ImageWish {
  /** Tars, bottom first. */
  readonly tars: readonly Uint8Array[];
  readonly compression?: "gzip" | "zstd" | "none";
  readonly docker?: boolean;
  readonly architecture?: string;
  /** Changes the documents before they are digested. */
  readonly config?: object;
  readonly manifest?: object;
}

export class MemorySource implements ImageSource {
  readonly name = "test.example/library/thing";
  readonly blobs = new Map<string, Uint8Array>();
  readonly manifests = new Map<string, RawManifest>();
  /** Digests of the blobs that were asked for, with the offset. */
  readonly asked: string[] = [];
  main: string | undefined;
  /** What is sent in place of a blob. */
  readonly instead = new Map<string, (offset: number) => AsyncIterable<Uint8Array>>();
  /** Waits before each piece of a blob. */
  delay: ((digest: Digest, at: number) => Promise<void>) | undefined;
  running = 0;
  mostRunning = 0;

  add(bytes: Uint8Array, mediaType: string): Descriptor {
    const digest = sha256(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  image(wish: ImageWish): MadeImage {
    const { tars, compression = "gzip", docker = false, architecture = "amd64" } = wish;
    const types = {
      gzip: docker ? mediaTypes.dockerLayerGzip : mediaTypes.ociLayerGzip,
      zstd: mediaTypes.ociLayerZstd,
      none: mediaTypes.ociLayer,
    };
    const pack = { gzip: gzipSync, zstd: zstdCompressSync, none: (tar: Uint8Array): Uint8Array => tar };
    const diffIds = tars.map((tar) => sha256(tar));
    const layers = tars.map((tar) => this.add(pack[compression](tar), types[compression]));
    const config = Buffer.from(
      JSON.stringify({
        architecture,
        os: "linux",
        config: { Cmd: ["sh"] },
        rootfs: { type: "layers", diff_ids: diffIds },
        ...wish.config,
      }),
    );
    const descriptor = this.add(config, docker ? mediaTypes.dockerConfig : mediaTypes.ociConfig);
    const mediaType = docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
    const manifest = this.put({ schemaVersion: 2, mediaType, config: descriptor, layers, ...wish.manifest });
    return { id: sha256(config), config, manifest, layers, diffIds };
  }

  /** Indented, as nobody would write it anew by chance. */
  put(document: Readonly<Record<string, unknown>> & { readonly mediaType: string }): RawManifest {
    const bytes = Buffer.from(JSON.stringify(document, null, 3));
    const raw = { digest: sha256(bytes), mediaType: document.mediaType, bytes };
    this.manifests.set(raw.digest, raw);
    this.main = raw.digest;
    return raw;
  }

  async manifest(reference?: string): Promise<RawManifest> {
    const raw = this.manifests.get(reference ?? this.main ?? "");
    if (raw === undefined) throw new GantryError("not-found", `manifest unknown: ${reference}`);
    return raw;
  }

  async *blob({ digest }: Descriptor, { offset = 0 }: BlobRead = {}): AsyncGenerator<Uint8Array, void, void> {
    this.asked.push(`${digest}${offset === 0 ? "" : `+${offset}`}`);
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    try {
      const instead = this.instead.get(digest);
      if (instead !== undefined) return yield* instead(offset);
      const bytes = this.blobs.get(digest);
      if (bytes === undefined) throw new GantryError("not-found", `blob unknown: ${digest}`);
      for (let at = offset; at < bytes.length; at += 30_000) {
        await this.delay?.(digest, at);
        yield bytes.subarray(at, at + 30_000);
      }
    } finally {
      this.running--;
    }
  }

  async referrers(): Promise<readonly Descriptor[]> {
    return [];
  }

  async tags(): Promise<readonly string[]> {
    return [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open.
  }
}
