/**
 * A registry upstream as part of this one: what is asked for is fetched once, kept, and served from here. While upstream is
 * down, or says that it has had enough of us, what was fetched before is served as it is.
 */
import { childrenOf, type ImageSource, parseManifest, type RawManifest } from "../image/index.ts";
import { type Digest, GantryError, Interrupt, isDigest, type Logger, messageOf } from "../lib/index.ts";
import type { BlobStore, ByteRange } from "./blob-store.ts";
import { RegistryError } from "./errors.ts";
import type { Metadata } from "./metadata.ts";
import type { Upstream, UpstreamBlob } from "./types.ts";
import { BlobFetch } from "./upstream-fetch.ts";
import { type KnownBlob, UpstreamRecords } from "./upstream-records.ts";

export interface UpstreamCacheOptions {
  /** For messages: `docker.io`. */
  readonly server: string;
  /** Repositories here that begin with `PREFIX/` are those upstream without it; "": all, as a mirror. */
  readonly prefix: string;
  /** Opens a repository of upstream, with its credentials. */
  readonly source: (repository: string) => Promise<ImageSource>;
  readonly metadata: Metadata;
  readonly blobs: BlobStore;
  /** For blobs on their way: on a disk. */
  readonly spoolDirectory: string;
  readonly logger: Logger;
  /** How long a tag is believed before upstream is asked again. Default 5 minutes. */
  readonly ttlMs?: number;
  /** Upstream that says nothing for so long is down. Default 30 s. */
  readonly stallMs?: number;
  /** What has not been asked for since is forgotten. Default 30 days. */
  readonly maxAgeMs?: number;
  /** Blobs beyond this are forgotten, those first that have not been asked for longest. Default: no limit. */
  readonly maxBytes?: number;
}

/** After a failure upstream is left alone for so long, if there is something to serve without it. */
const backOffMs = 15_000;

export class UpstreamCache implements Upstream {
  readonly #options: UpstreamCacheOptions;
  readonly #records: UpstreamRecords;
  readonly #fetches = new Map<string, Promise<BlobFetch>>();
  readonly #manifests = new Map<string, Promise<RawManifest | undefined>>();
  #downUntilMs = 0;

  constructor(options: UpstreamCacheOptions) {
    this.#options = options;
    this.#records = new UpstreamRecords(options.metadata.sql);
  }

  serves(repository: string): boolean {
    const { prefix } = this.#options;
    return prefix === "" || repository.startsWith(`${prefix}/`);
  }

  async manifest(
    repository: string,
    reference: string,
    signal: AbortSignal,
  ): Promise<RawManifest | undefined> {
    const key = `${repository}@${reference}`;
    const running = this.#manifests.get(key);
    if (running !== undefined) return untilGone(running, signal);
    // For all who ask meanwhile: it goes on when one of them leaves.
    const work = isDigest(reference)
      ? this.#byDigest(repository, reference)
      : this.#byTag(repository, reference);
    this.#manifests.set(key, work);
    const forget = (): void => void this.#manifests.delete(key);
    work.then(forget, forget);
    return untilGone(work, signal);
  }

  async size(repository: string, digest: Digest): Promise<number | undefined> {
    return (await this.#records.blob(repository, digest))?.size;
  }

  async open(
    repository: string,
    digest: Digest,
    range: ByteRange | undefined,
  ): Promise<UpstreamBlob | undefined> {
    const blob = await this.#records.blob(repository, digest);
    if (blob === undefined) return undefined;
    if (await this.#isHere(blob))
      return { size: blob.size, body: await this.#options.blobs.read(digest, range) };
    const fetch = await this.#fetch(repository, blob);
    return { size: blob.size, body: fetch.read(range) };
  }

  async blob(repository: string, digest: Digest): Promise<boolean> {
    const blob = await this.#records.blob(repository, digest);
    if (blob === undefined) return false;
    if (!(await this.#isHere(blob))) await (await this.#fetch(repository, blob)).done;
    return true;
  }

  /** Upstream's; while it is down, those that are known here. */
  async tags(repository: string, signal: AbortSignal): Promise<readonly string[] | undefined> {
    try {
      return await this.#ask(repository, async (source) =>
        source.tags(AbortSignal.any([signal, this.#limit()])),
      );
    } catch (error) {
      if (isCode(error, "not-found")) return undefined;
      const known = await this.#records.tags(repository);
      if (known.length === 0) throw this.#down(error);
      return known;
    }
  }

  /** @returns how many blobs were forgotten; the collector removes their bytes */
  async expire(): Promise<number> {
    const { maxAgeMs = 30 * 86_400_000, maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    return this.#records.expire(Date.now() - maxAgeMs, maxBytes);
  }

  async #byDigest(repository: string, digest: Digest): Promise<RawManifest | undefined> {
    const known = await this.#records.manifest(repository, digest);
    if (known !== undefined) return known;
    try {
      return await this.#fetchManifest(repository, digest);
    } catch (error) {
      if (isCode(error, "not-found")) return undefined;
      throw this.#down(error);
    }
  }

  async #byTag(repository: string, tag: string): Promise<RawManifest | undefined> {
    const { ttlMs = 300_000, logger, server } = this.#options;
    const known = await this.#records.tag(repository, tag);
    const manifest = known && (await this.#records.manifest(repository, known.digest));
    const isFresh = known !== undefined && Date.now() - known.checkedMs < ttlMs;
    if (manifest !== undefined && (isFresh || Date.now() < this.#downUntilMs)) return manifest;
    try {
      const fetched = await this.#fetchManifest(repository, tag);
      await this.#records.setTag(repository, tag, { digest: fetched.digest, checkedMs: Date.now() });
      return fetched;
    } catch (error) {
      if (isCode(error, "not-found")) {
        await this.#records.removeTag(repository, tag);
        return undefined;
      }
      if (manifest === undefined || isCode(error, "denied")) throw this.#down(error);
      this.#downUntilMs = Date.now() + backOffMs;
      logger.warn("upstream.stale", { server, repository, tag, error: messageOf(error) });
      return manifest;
    }
  }

  async #fetchManifest(repository: string, reference: string): Promise<RawManifest> {
    const manifest = await this.#ask(repository, async (source) => source.manifest(reference, this.#limit()));
    const parsed = parseManifest(manifest.bytes, manifest.mediaType);
    const blobs = parsed.kind === "image" ? childrenOf(parsed) : [];
    await this.#records.addManifest(repository, manifest, blobs);
    return manifest;
  }

  async #isHere(blob: KnownBlob): Promise<boolean> {
    return blob.stored && (await this.#options.blobs.size(blob.digest)) !== undefined;
  }

  /** The fetch that is on its way, or a new one. */
  #fetch(repository: string, blob: KnownBlob): Promise<BlobFetch> {
    const key = `${repository}@${blob.digest}`;
    const running = this.#fetches.get(key);
    if (running !== undefined) return running;
    const forget = (): void => {
      if (this.#fetches.get(key) === started) this.#fetches.delete(key);
    };
    const started = this.#start(repository, blob, forget);
    this.#fetches.set(key, started);
    started.then(async (fetch) => fetch.done.then(forget, forget), forget);
    return started;
  }

  async #start(repository: string, blob: KnownBlob, failed: () => void): Promise<BlobFetch> {
    const { blobs, metadata, spoolDirectory, stallMs = 30_000, logger, server } = this.#options;
    // Opened before anything is answered, so that an upstream that is down is told as such.
    const source = await this.#open(repository);
    const fetch = await BlobFetch.start(blob, {
      blobs,
      directory: spoolDirectory,
      stallMs,
      open: async (signal) => source.blob(blob, { signal }),
      begun: (id) => metadata.beginUpload(id, repository, Date.now()),
      ended: (id) => metadata.endUpload(id),
      failed,
      // The collector leaves alone what was touched just now.
      beforeCommit: () => this.#records.touchBlob(blob),
      afterCommit: () => this.#records.setStored(repository, blob),
    });
    fetch.done.then(
      async () => source[Symbol.asyncDispose](),
      async (error: unknown) => {
        logger.warn("upstream.failed", { server, repository, blob: blob.digest, error: messageOf(error) });
        await source[Symbol.asyncDispose]();
      },
    );
    return fetch;
  }

  async #ask<T>(repository: string, question: (source: ImageSource) => Promise<T>): Promise<T> {
    await using source = await this.#open(repository);
    return await question(source);
  }

  async #open(repository: string): Promise<ImageSource> {
    const { prefix, source } = this.#options;
    try {
      return await source(prefix === "" ? repository : repository.slice(prefix.length + 1));
    } catch (error) {
      throw isCode(error, "not-found") ? error : this.#down(error);
    }
  }

  #limit(): AbortSignal {
    return AbortSignal.timeout(this.#options.stallMs ?? 30_000);
  }

  #down(error: unknown): RegistryError {
    if (error instanceof RegistryError) return error;
    const message = `${this.#options.server}: ${messageOf(error)}`;
    return isCode(error, "denied")
      ? new RegistryError("DENIED", message, { cause: error })
      : new RegistryError("UNAVAILABLE", message, { cause: error, headers: { "retry-after": "15" } });
  }
}

function isCode(error: unknown, code: GantryError["code"]): boolean {
  return error instanceof GantryError && error.code === code;
}

/** Shared work as one client waits for it: the client's leaving ends its wait, not the work. */
async function untilGone<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const gone = new Interrupt();
  const leave = (): void => gone.raise(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    return await gone.wait(work);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
