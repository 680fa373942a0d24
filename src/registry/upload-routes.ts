/** Blobs on their way in (distribution-spec, "Pushing blobs"; end-4 to end-6, end-11, end-13, end-14). */
import { type Digest, isDigest } from "../lib/index.ts";
import { empty } from "./answers.ts";
import { parseContentRange } from "./byte-range.ts";
import { RegistryError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { isRepositoryName, isUploadId } from "./names.ts";
import { guard, mayAlso, type Registry, tell } from "./registry.ts";

/** Repositories that are looked at for a mount that names none. */
const maxSources = 20;
/** How often uploads that nobody goes on with are looked for. */
const expiryMs = 60_000;
const expiredAtOnce = 100;
/** How long the status of an upload that is being written to is kept back. */
const settleMs = 500;
/** After how long to try again when too many are open. */
const fullRetrySeconds = 60;

export class UploadRoutes {
  readonly #registry: Registry;
  /** Uploads that somebody writes to now, with the end of that. */
  readonly #busy = new Map<string, Promise<void>>();
  #expiredMs: number;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#expiredMs = registry.now();
  }

  async begin(exchange: Exchange, repository: string): Promise<Response> {
    const registry = this.#registry;
    await guard(registry, (one) => one.write?.(exchange, repository));
    const mounted = await this.#mount(exchange, repository);
    if (mounted !== undefined) return mounted;
    const whole = exchange.parameters.get("digest");
    if (whole !== null) return this.#putWhole(exchange, repository, checkDigest(whole));
    const algorithm = checkAlgorithm(exchange.parameters.get("digest-algorithm") ?? "sha256");
    await guard(registry, (one) => one.upload?.(exchange, repository, undefined));
    await this.#expire();
    await this.#checkOpen(repository);
    const id = crypto.randomUUID();
    await registry.metadata.beginUpload(id, repository, registry.now());
    await registry.blobs.begin(id, algorithm);
    return progress(202, repository, id, 0);
  }

  async status(_exchange: Exchange, repository: string, id: string): Promise<Response> {
    // A client that lost its connection asks before we have written all that came by it.
    const busy = this.#busy.get(id);
    if (busy !== undefined) await Promise.race([busy, Bun.sleep(settleMs)]);
    return progress(204, repository, id, await this.#length(repository, id));
  }

  async patch(exchange: Exchange, repository: string, id: string): Promise<Response> {
    await guard(this.#registry, (one) => one.write?.(exchange, repository));
    const length = await this.#alone(id, () => this.#append(exchange, repository, id));
    return progress(202, repository, id, length);
  }

  async put(exchange: Exchange, repository: string, id: string): Promise<Response> {
    await guard(this.#registry, (one) => one.write?.(exchange, repository));
    const digest = checkDigest(exchange.parameters.get("digest") ?? "");
    await this.#alone(id, async () => {
      await this.#append(exchange, repository, id);
      await this.#finish(exchange, repository, id, digest);
    });
    return created(repository, digest);
  }

  async cancel(_exchange: Exchange, repository: string, id: string): Promise<Response> {
    const { metadata, blobs } = this.#registry;
    await this.#length(repository, id);
    await this.#alone(id, async () => {
      await metadata.endUpload(id);
      await blobs.cancel(id);
    });
    return empty(204);
  }

  async #putWhole(exchange: Exchange, repository: string, digest: Digest): Promise<Response> {
    const { blobs } = this.#registry;
    const id = crypto.randomUUID();
    await guard(this.#registry, (one) => one.upload?.(exchange, repository, exchange.contentLength));
    await blobs.begin(id, algorithmOf(digest));
    try {
      await this.#receive(exchange, id, 0);
      await this.#finish(exchange, repository, id, digest);
    } catch (error) {
      await blobs.cancel(id);
      throw error;
    }
    return created(repository, digest);
  }

  /** Appends the request's body where its Content-Range says it belongs. @returns the upload's bytes */
  async #append(exchange: Exchange, repository: string, id: string): Promise<number> {
    const before = await this.#length(repository, id);
    const range = parseContentRange(exchange.request.headers.get("content-range"), exchange.contentLength);
    if (range !== undefined && range.start !== before) throw outOfOrder(repository, id, before);
    if (exchange.request.body === null || exchange.contentLength === 0) return before;
    const bytes = exchange.contentLength;
    await guard(this.#registry, (one) => one.upload?.(exchange, repository, bytes && before + bytes));
    return this.#receive(exchange, id, before);
  }

  async #receive(exchange: Exchange, id: string, before: number): Promise<number> {
    const { body } = exchange.request;
    if (body === null) return before;
    const length = await this.#registry.blobs.append(id, body, this.#registry.limits.maxBlobBytes);
    const announced = exchange.contentLength;
    if (announced === undefined || length - before === announced) return length;
    throw new RegistryError(
      "SIZE_INVALID",
      `${length - before} bytes came of the ${announced} that were announced`,
    );
  }

  async #finish(exchange: Exchange, repository: string, id: string, digest: Digest): Promise<void> {
    const { metadata, blobs, now } = this.#registry;
    const claimedMs = now();
    const claimed = await metadata.claimBlob(digest, claimedMs);
    let size: number;
    try {
      size = await blobs.commit(id, digest);
    } catch (error) {
      await metadata.releaseClaim(digest, claimedMs);
      throw error;
    } finally {
      await metadata.endUpload(id);
    }
    if (claimed !== size) await metadata.setBlobSize(digest, size);
    const steps = await guard(this.#registry, (one) => one.linkBlob?.(exchange, repository, digest, size));
    await metadata.linkBlob(repository, digest, now(), steps);
    tell(this.#registry, exchange, "push", { repository, digest, size, kind: "blob" });
  }

  /** @returns undefined when there is nothing to mount: an upload begins then */
  async #mount(exchange: Exchange, repository: string): Promise<Response | undefined> {
    const digest = exchange.parameters.get("mount");
    if (digest === null) return undefined;
    const { metadata, blobs, now } = this.#registry;
    const wanted = checkDigest(digest);
    if (!(await this.#isReadable(exchange, repository, wanted))) return undefined;
    const bytes = await blobs.size(wanted);
    if (bytes === undefined) return undefined;
    const steps = await guard(this.#registry, (one) => one.linkBlob?.(exchange, repository, wanted, bytes));
    const size = await metadata.mountBlob(repository, wanted, now(), steps);
    // Looked at again: once it is mounted nobody removes it.
    if (size === undefined || (await blobs.size(wanted)) !== size) return undefined;
    tell(this.#registry, exchange, "mount", { repository, digest: wanted, size, kind: "blob" });
    return created(repository, wanted);
  }

  /** Whether who asks could pull the blob from the repository that is named, or from any. */
  async #isReadable(exchange: Exchange, repository: string, digest: Digest): Promise<boolean> {
    const { metadata } = this.#registry;
    const from = exchange.parameters.get("from");
    if (from !== null && !isRepositoryName(from)) return false;
    if (from !== null && (await metadata.blob(from, digest)) === undefined) return false;
    const sources = from === null ? await metadata.repositoriesWithBlob(digest, maxSources) : [from];
    for (const name of sources)
      if (
        name === repository ||
        (await mayAlso(this.#registry, exchange, { type: "repository", name, actions: ["pull"] }))
      )
        return true;
    return false;
  }

  /** Bytes of an upload that the repository has. @throws {RegistryError} "BLOB_UPLOAD_UNKNOWN" */
  async #length(repository: string, id: string): Promise<number> {
    const { metadata, blobs, now } = this.#registry;
    const isKnown = isUploadId(id) && (await metadata.touchUpload(id, repository, now()));
    const length = isKnown ? await blobs.uploaded(id) : undefined;
    if (length !== undefined) return length;
    throw new RegistryError(
      "BLOB_UPLOAD_UNKNOWN",
      `${repository} has no upload ${JSON.stringify(id.slice(0, 80))}`,
    );
  }

  /** One at a time writes to an upload; a second one has lost track of it. */
  async #alone<T>(id: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy.has(id))
      throw new RegistryError("BLOB_UPLOAD_INVALID", `another request is writing to upload ${id}`, {
        status: 409,
      });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#busy.set(id, promise);
    try {
      return await work();
    } finally {
      this.#busy.delete(id);
      resolve();
    }
  }

  /** Now and then, when somebody begins an upload. */
  async #expire(): Promise<void> {
    const { metadata, blobs, limits, now } = this.#registry;
    const nowMs = now();
    if (nowMs - this.#expiredMs < expiryMs) return;
    this.#expiredMs = nowMs;
    for (let ended = 1; ended > 0;) {
      ended = 0;
      for (const id of await metadata.staleUploads(nowMs - limits.uploadTtlMs, expiredAtOnce)) {
        if (this.#busy.has(id)) continue;
        await metadata.endUpload(id);
        await blobs.cancel(id);
        ended += 1;
      }
    }
  }

  /** @throws {RegistryError} "TOOMANYREQUESTS" when as many uploads are open as may be */
  async #checkOpen(repository: string): Promise<void> {
    const { metadata, limits } = this.#registry;
    const { own, all } = await metadata.openUploads(repository);
    if (own < limits.maxUploadsOfRepository && all < limits.maxUploads) return;
    const where = all < limits.maxUploads ? `${repository} has ${own}` : `the registry has ${all}`;
    throw new RegistryError("TOOMANYREQUESTS", `${where} open uploads: finish or cancel some first`, {
      headers: { "Retry-After": String(fullRetrySeconds) },
    });
  }
}

function progress(status: number, repository: string, id: string, length: number): Response {
  return empty(status, {
    Location: uploadLocation(repository, id),
    Range: rangeOf(length),
    "Docker-Upload-UUID": id,
    ...(status === 204 ? {} : { "Content-Length": "0" }),
  });
}

function created(repository: string, digest: Digest): Response {
  return empty(201, {
    Location: `/v2/${repository}/blobs/${digest}`,
    "Docker-Content-Digest": digest,
    "Content-Length": "0",
  });
}

function outOfOrder(repository: string, id: string, length: number): RegistryError {
  return new RegistryError("RANGE_INVALID", `the upload has ${length} bytes: the next chunk begins there`, {
    headers: { Location: uploadLocation(repository, id), Range: rangeOf(length), "Docker-Upload-UUID": id },
  });
}

function uploadLocation(repository: string, id: string): string {
  return `/v2/${repository}/blobs/uploads/${id}`;
}

/** Of an empty upload, too, clients expect an end. */
function rangeOf(length: number): string {
  return `0-${Math.max(0, length - 1)}`;
}

function checkDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new RegistryError(
    "DIGEST_INVALID",
    `invalid or unsupported digest ${JSON.stringify(text.slice(0, 160))}`,
  );
}

function checkAlgorithm(text: string): "sha256" | "sha512" {
  if (text === "sha256" || text === "sha512") return text;
  throw new RegistryError(
    "DIGEST_INVALID",
    `unsupported digest algorithm ${JSON.stringify(text.slice(0, 40))}`,
    {
      detail: "sha256 and sha512 are",
    },
  );
}

function algorithmOf(digest: Digest): "sha256" | "sha512" {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}
