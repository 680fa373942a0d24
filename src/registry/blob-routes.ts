/** Blobs: GET, HEAD and DELETE (distribution-spec end-2 and end-10). */
import { type Digest, isDigest } from "../lib/index.ts";
import { content, empty } from "./answers.ts";
import { parseRange } from "./byte-range.ts";
import { RegistryError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { guard, type Registry, tell } from "./registry.ts";

export async function getBlob(
  registry: Registry,
  exchange: Exchange,
  repository: string,
  reference: string,
): Promise<Response> {
  const digest = blobDigest(reference);
  const upstream = registry.upstreams.find((one) => one.serves(repository));
  const size =
    upstream === undefined
      ? await present(registry, repository, digest)
      : await upstream.size(repository, digest);
  if (size === undefined) throw unknown(repository, digest);
  const headers = {
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    "Accept-Ranges": "bytes",
    ETag: `"${digest}"`,
    "Cache-Control": "max-age=31536000",
  };
  const { request } = exchange;
  if (request.method === "HEAD") return content(200, null, size, headers);
  const elsewhere = upstream === undefined ? await registry.blobs.location?.(digest) : undefined;
  if (elsewhere !== undefined) return empty(307, { Location: elsewhere, "Docker-Content-Digest": digest });
  const range = parseRange(request.headers.get("range"), size);
  const body =
    upstream === undefined
      ? await registry.blobs.read(digest, range)
      : (await upstream.open(repository, digest, range, request.signal))?.body;
  if (body === undefined) throw unknown(repository, digest);
  tell(registry, exchange, "pull", { repository, digest, size, kind: "blob" });
  if (range === undefined) return content(200, body, size, headers);
  const { start, end } = range;
  return content(206, body, end - start + 1, {
    ...headers,
    "Content-Range": `bytes ${start}-${end}/${size}`,
  });
}

export async function deleteBlob(
  registry: Registry,
  exchange: Exchange,
  repository: string,
  reference: string,
): Promise<Response> {
  const digest = blobDigest(reference);
  await guard(registry, (one) => one.write?.(exchange, repository));
  if (!(await registry.metadata.unlinkBlob(repository, digest))) throw unknown(repository, digest);
  tell(registry, exchange, "delete", { repository, digest, kind: "blob" });
  return empty(202);
}

/** The bytes of a blob that a repository has. @throws {RegistryError} "BLOB_UNKNOWN" */
async function present(registry: Registry, repository: string, digest: Digest): Promise<number> {
  const { metadata, blobs, limits } = registry;
  const linked = await metadata.blob(repository, digest);
  if (linked === undefined) throw unknown(repository, digest);
  const stored = await blobs.size(digest);
  if (stored !== linked.size) {
    registry.logger.error("blob.damaged", { digest, bytes: stored, expected: linked.size });
    throw unknown(repository, digest);
  }
  const nowMs = registry.now();
  const isFresh = nowMs - linked.touchedMs <= limits.touchMs;
  if (!isFresh && !(await metadata.touchBlob(repository, digest, nowMs))) throw unknown(repository, digest);
  return linked.size;
}

function blobDigest(reference: string): Digest {
  if (isDigest(reference)) return reference;
  throw new RegistryError("DIGEST_INVALID", `invalid digest ${JSON.stringify(reference.slice(0, 160))}`);
}

function unknown(repository: string, digest: Digest): RegistryError {
  return new RegistryError("BLOB_UNKNOWN", `blob unknown to registry: ${repository} has no ${digest}`, {
    detail: { digest },
  });
}
