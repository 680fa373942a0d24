/**
 * Sending a blob (distribution-spec, "Pushing Blobs"): small ones in one PUT, others in a PATCH that is taken up again where it
 * broke. What goes out is digested on the way, so that a source with other bytes leaves nothing behind.
 */
import { createHash } from "node:crypto";
import type { BlobWrite, Descriptor } from "../image/index.ts";
import { digestHex, GantryError } from "../lib/index.ts";
import { pause, type RepositoryClient } from "./repository-client.ts";
import { delayBefore, usualRetries } from "./retry.ts";

export interface UploadRequest extends BlobWrite {
  readonly blob: Descriptor;
  /** Of the repository, for messages. */
  readonly name: string;
}

/** Up to this size a blob is read into memory and sent with the request that ends the upload. */
const smallBytes = 1 << 20;

/** @throws {GantryError} "corrupt" when the source has other bytes; whatever the registry refuses */
export async function uploadBlob(client: RepositoryClient, request: UploadRequest): Promise<void> {
  const { blob, name, signal } = request;
  const doing = `push the blob ${blob.digest} to ${name}`;
  if (blob.size <= smallBytes) return uploadSmall(client, request, doing);
  let url = await begin(client, doing, signal);
  let offset = 0;
  for (let tried = 1; ; tried++) {
    try {
      const done = await sendFrom(client, { url, offset, doing, request });
      return await finish(client, { url: done, bytes: undefined, doing, request });
    } catch (error) {
      const broken =
        error instanceof GantryError && (error.code === "unavailable" || error.code === "timeout");
      const wait = broken ? delayBefore(usualRetries, tried, undefined, Math.random()) : undefined;
      if (wait === undefined) {
        await cancel(client, url);
        throw error;
      }
      await pause(wait, signal);
      const state = await status(client, url, doing, signal);
      if (state !== undefined && state.offset > offset) tried = 1;
      ({ url, offset } = state ?? { url: await begin(client, doing, signal), offset: 0 });
    }
  }
}

/** The wait before another try; undefined: another would fail as well. */
function waitAfter(error: unknown, tried: number): number | undefined {
  const broken = error instanceof GantryError && (error.code === "unavailable" || error.code === "timeout");
  return broken ? delayBefore(usualRetries, tried, undefined, Math.random()) : undefined;
}

async function uploadSmall(client: RepositoryClient, request: UploadRequest, doing: string): Promise<void> {
  const { blob, signal, onProgress } = request;
  const bytes = await readSmall(request, doing);
  for (let tried = 1; ; tried++) {
    const url = await begin(client, doing, signal);
    try {
      await finish(client, { url, bytes, doing, request });
      return onProgress?.(blob.size);
    } catch (error) {
      const wait = waitAfter(error, tried);
      if (wait === undefined) {
        await cancel(client, url);
        throw error;
      }
      await pause(wait, signal);
    }
  }
}

async function readSmall({ blob, open }: UploadRequest, doing: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of open(0)) {
    length += chunk.length;
    if (length > blob.size) break;
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const hash = createHash(algorithmOf(blob)).update(bytes).digest("hex");
  if (length !== blob.size || hash !== digestHex(blob.digest)) throw otherBytes(doing);
  return bytes;
}

const algorithmOf = ({ digest }: Descriptor): string => (digest.startsWith("sha512:") ? "sha512" : "sha256");

function otherBytes(doing: string): GantryError {
  return new GantryError("corrupt", `${doing}: the source has other bytes than its descriptor says`, {
    hint: "check the image with: gantry image verify",
  });
}

async function begin(client: RepositoryClient, doing: string, signal: AbortSignal | undefined): Promise<URL> {
  const headers = { "Content-Length": "0" };
  const answer = await client.request({
    method: "POST",
    to: "blobs/uploads/",
    headers,
    expect: [202],
    doing,
    signal,
  });
  await answer.cancel();
  return client.located(answer.headers.get("location"), doing);
}

interface Sending {
  readonly url: URL;
  readonly offset: number;
  readonly doing: string;
  readonly request: UploadRequest;
}

/** Sends all from `offset` on; returns the address for what comes next. */
async function sendFrom(client: RepositoryClient, { url, offset, doing, request }: Sending): Promise<URL> {
  const { blob, signal } = request;
  let sourceError: unknown;
  const body = async function* (): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* outgoing(request, offset, doing);
    } catch (error) {
      sourceError = error;
      throw error;
    }
  };
  const range = offset === 0 ? {} : { "Content-Range": `${offset}-${blob.size - 1}` };
  try {
    const answer = await client.request({
      method: "PATCH",
      to: url,
      headers: { "Content-Type": "application/octet-stream", ...range },
      body,
      expect: [202, 204],
      doing,
      // What has arrived already must not be sent twice: the caller asks first.
      once: true,
      signal,
    });
    await answer.cancel();
    return client.located(answer.headers.get("location") ?? url.href, doing);
  } catch (error) {
    throw sourceError ?? error;
  }
}

/** The blob's bytes from `offset` on; those before it are digested only. */
async function* outgoing(
  { blob, open, onProgress }: UploadRequest,
  offset: number,
  doing: string,
): AsyncGenerator<Uint8Array, void, void> {
  const hash = createHash(algorithmOf(blob));
  let at = 0;
  for await (const chunk of open(0)) {
    hash.update(chunk);
    const start = at;
    at += chunk.length;
    if (at > blob.size) throw otherBytes(doing);
    // The last piece goes out when the whole is known to be right.
    if (at === blob.size && hash.copy().digest("hex") !== digestHex(blob.digest)) throw otherBytes(doing);
    if (at <= offset) continue;
    yield start >= offset ? chunk : chunk.subarray(offset - start);
    onProgress?.(at);
  }
  if (at !== blob.size) throw otherBytes(doing);
}

/** How far a broken upload came; undefined: the registry has forgotten it. */
async function status(
  client: RepositoryClient,
  url: URL,
  doing: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly url: URL; readonly offset: number } | undefined> {
  const answer = await client.request({
    method: "GET",
    to: url,
    expect: [200, 202, 204, 404, 405],
    doing,
    signal,
  });
  await answer.cancel();
  const last = /^(?:bytes=)?0-(\d+)$/.exec(answer.headers.get("range") ?? "")?.[1];
  if (answer.status >= 400) return undefined;
  const next = client.located(answer.headers.get("location") ?? url.href, doing);
  // `0-0` is said of no byte and of one: sending from the beginning is refused by a strict registry only for one.
  return { url: next, offset: last === undefined || last === "0" ? 0 : Number(last) + 1 };
}

async function finish(
  client: RepositoryClient,
  part: {
    readonly url: URL;
    readonly bytes: Uint8Array | undefined;
    readonly doing: string;
    readonly request: UploadRequest;
  },
): Promise<void> {
  const { bytes, doing, request } = part;
  const url = new URL(part.url);
  url.searchParams.set("digest", request.blob.digest);
  const answer = await client.request({
    method: "PUT",
    to: url,
    headers: bytes === undefined ? { "Content-Length": "0" } : { "Content-Type": "application/octet-stream" },
    ...(bytes === undefined ? {} : { body: () => bytes }),
    expect: [201, 204],
    doing,
    once: true,
    signal: request.signal,
  });
  await answer.cancel();
}

async function cancel(client: RepositoryClient, url: URL): Promise<void> {
  const request = {
    method: "DELETE",
    to: url,
    expect: [200, 202, 204, 404, 405],
    doing: "cancel an upload",
    once: true,
  } as const;
  // The error that led here is the one to tell; the registry lets uploads expire.
  await client.request(request).then(
    (answer) => answer.cancel(),
    () => undefined,
  );
}
