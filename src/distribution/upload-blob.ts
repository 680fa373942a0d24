/**
 * Sending a blob (distribution-spec, "Pushing Blobs"): small ones in one PUT, others in a PATCH that is taken up again where it
 * broke. What goes out is digested on the way, so that a source with other bytes leaves nothing behind.
 */
import { createHash } from "node:crypto";
import type { BlobWrite, Descriptor } from "../image/index.ts";
import { digestHex, GantryError } from "../lib/index.ts";
import { Cutter } from "./cutter.ts";
import { pause, type RepositoryClient, waitAfter } from "./repository-client.ts";
import type { HttpAnswer } from "./transport.ts";

export interface UploadRequest extends BlobWrite {
  readonly blob: Descriptor;
  /** Of the repository, for messages. */
  readonly name: string;
}

/** Up to this size a blob is read into memory and sent with the request that ends the upload. */
const smallBytes = 1 << 20;

/** Requests of this size go to a registry, or to a proxy before it, that refuses larger ones (413); then of the smaller. */
const pieceSizes: readonly number[] = [32 << 20, 4 << 20];

/** An upload that the registry has begun. */
export interface BegunUpload {
  readonly url: URL;
  /** Pieces but the last must not be smaller (OCI-Chunk-Min-Length). */
  readonly minBytes: number;
}

interface Progress {
  readonly upload: BegunUpload;
  readonly offset: number;
}

/**
 * @param begun from a mount that became an upload instead
 * @throws {GantryError} "corrupt" when the source has other bytes; whatever the registry refuses
 */
export async function uploadBlob(
  client: RepositoryClient,
  request: UploadRequest,
  begun?: BegunUpload,
): Promise<void> {
  const { blob, name, signal } = request;
  const doing = `push the blob ${blob.digest} to ${name}`;
  const isSmall = blob.size <= smallBytes;
  const small = isSmall ? await readSmall(request, doing) : undefined;
  const sizes = [...pieceSizes];
  let pieceBytes = Number.POSITIVE_INFINITY;
  let at: Progress = { upload: begun ?? (await beginUpload(client, doing, signal)), offset: 0 };
  for (let tried = 1; ; tried++) {
    try {
      const url =
        small === undefined ? await sendFrom(client, { ...at, pieceBytes, doing, request }) : at.upload.url;
      await finishUpload(client, { url, bytes: small, doing, blob, signal });
      if (small !== undefined) request.onProgress?.(blob.size);
      return;
    } catch (error) {
      const next = isTooLarge(error) ? sizes.shift() : pieceBytes;
      const wait = next === undefined ? undefined : waitAfter(error, tried, client.retries, astray);
      if (next === undefined || wait === undefined) {
        await cancelUpload(client, at.upload.url);
        throw error;
      }
      pieceBytes = next;
      await pause(wait, signal);
      const resumed = small === undefined ? await status(client, at.upload, doing, signal) : undefined;
      // The answer to the last request may be all that was lost.
      if (resumed === undefined && (await hasBlob(client, blob, doing, signal))) return;
      if (resumed !== undefined && resumed.offset > at.offset) tried = 1;
      if (resumed === undefined || resumed.offset > blob.size)
        at = { upload: await beginUpload(client, doing, signal), offset: 0 };
      else at = resumed;
    }
  }
}

const statusOf = (error: unknown): unknown =>
  error instanceof GantryError ? error.fields["status"] : undefined;

const isTooLarge = (error: unknown): boolean => statusOf(error) === 413;

/** Statuses of an upload that is not where we believe it to be: it is asked, or begun anew. */
const astray: readonly number[] = [404, 413, 416];

async function hasBlob(
  client: RepositoryClient,
  blob: Descriptor,
  doing: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const to = `blobs/${blob.digest}`;
  const answer = await client.request({ method: "HEAD", to, expect: [200, 404], doing, signal });
  await answer.cancel();
  return answer.status === 200;
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

/** Asks the registry to begin an upload. */
export async function beginUpload(
  client: RepositoryClient,
  doing: string,
  signal: AbortSignal | undefined,
): Promise<BegunUpload> {
  const answer = await client.request({
    method: "POST",
    to: "blobs/uploads/",
    headers: { "Content-Length": "0" },
    expect: [202],
    doing,
    signal,
  });
  return begunUpload(client, answer, doing);
}

/** What a 202 says of the upload that it begins. */
export async function begunUpload(
  client: RepositoryClient,
  answer: HttpAnswer,
  doing: string,
): Promise<BegunUpload> {
  await answer.cancel();
  const minimum = /^\d{1,12}$/.exec(answer.headers.get("oci-chunk-min-length") ?? "")?.[0];
  const url = client.located(answer.headers.get("location"), answer.url, doing);
  return { url, minBytes: Number(minimum ?? 0) };
}

interface Sending extends Progress {
  readonly pieceBytes: number;
  readonly doing: string;
  readonly request: UploadRequest;
}

/** Sends all from `offset` on, in one request or in pieces; returns the address for what comes next. */
async function sendFrom(client: RepositoryClient, sending: Sending): Promise<URL> {
  const { upload, offset, pieceBytes, doing, request } = sending;
  const { size } = request.blob;
  const step = Math.max(pieceBytes, upload.minBytes);
  let { url } = upload;
  const cutter = new Cutter(outgoing(request, offset, doing));
  try {
    for (let at = offset; at < size; at += step) {
      const end = Math.min(size, at + step);
      const isWhole = at === 0 && end === size;
      const answer = await client.request({
        method: "PATCH",
        to: url,
        headers: {
          "Content-Type": "application/octet-stream",
          "Content-Length": String(end - at),
          ...(isWhole ? {} : { "Content-Range": `${at}-${end - 1}` }),
        },
        body: () => cutter.piece(end - at),
        expect: [202, 204],
        doing,
        // What has arrived already must not be sent twice: the caller asks first.
        once: true,
        signal: request.signal,
      });
      await answer.cancel();
      url = client.located(answer.headers.get("location") ?? url.href, url, doing);
    }
    return url;
  } catch (error) {
    // What the source says is the reason of what the connection says.
    throw cutter.failure ?? error;
  } finally {
    await cutter.close();
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
  upload: BegunUpload,
  doing: string,
  signal: AbortSignal | undefined,
): Promise<Progress | undefined> {
  const { url, minBytes } = upload;
  const expect = [200, 202, 204, 400, 404, 405];
  const answer = await client.request({ method: "GET", to: url, expect, doing, signal });
  await answer.cancel();
  if (answer.status >= 400) return undefined;
  const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(answer.headers.get("range") ?? "")?.[1];
  const next = client.located(answer.headers.get("location") ?? url.href, url, doing);
  // `0-0` is said of no byte and of one: sending from the beginning is refused by a strict registry only for one.
  const offset = last === undefined || last === "0" ? 0 : Number(last) + 1;
  return { upload: { url: next, minBytes }, offset };
}

export interface LastPart {
  readonly url: URL;
  /** What has not been sent before. */
  readonly bytes: Uint8Array | undefined;
  readonly doing: string;
  readonly blob: Descriptor;
  readonly signal: AbortSignal | undefined;
}

/** Names what was sent; the registry checks it. */
export async function finishUpload(
  client: RepositoryClient,
  { url, bytes, doing, blob, signal }: LastPart,
): Promise<void> {
  const to = new URL(url);
  to.searchParams.set("digest", blob.digest);
  const answer = await client.request({
    method: "PUT",
    to,
    headers: bytes === undefined ? { "Content-Length": "0" } : { "Content-Type": "application/octet-stream" },
    ...(bytes === undefined ? {} : { body: () => bytes }),
    expect: [201, 204],
    doing,
    once: true,
    patient: true,
    signal,
  });
  await answer.cancel();
}

/** Lets go of an upload. Not all registries can: theirs expires, and the reason for this is the error to tell. */
export async function cancelUpload(client: RepositoryClient, url: URL): Promise<void> {
  const request = {
    method: "DELETE",
    to: url,
    expect: [200, 202, 204, 404, 405],
    doing: "cancel an upload",
    once: true,
  } as const;
  await client.request(request).then(
    (answer) => answer.cancel(),
    () => undefined,
  );
}
