/**
 * One blob from a source onto the disk, verified, and given on while it comes: who unpacks it need not wait for its end.
 * What is there of an earlier try is read from the disk first and not fetched again.
 */
import { createHash, type Hash } from "node:crypto";
import * as fs from "node:fs";
import { type Digest, digestAlgorithm, GantryError, isErrno, parseDigest } from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";
import { readFile } from "./content-store.ts";
import type { ImageSource } from "./endpoint.ts";
import type { Descriptor } from "./manifest.ts";

export interface DownloadRequest {
  readonly source: ImageSource;
  readonly blob: Descriptor;
  /** The partial file; see partials.ts. */
  readonly path: string;
  readonly maxBytes: number;
  /** Bytes on disk so far. */
  readonly onProgress?: ((current: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The blob as it comes in. It is whole and verified when the generator has ended; see `isDamaged` for what it throws. */
export async function* download(request: DownloadRequest): AsyncGenerator<Uint8Array, void, void> {
  const { blob, path, source, signal, onProgress } = request;
  const what = `blob ${blob.digest} of ${source.name}`;
  const hash = createHash(digestAlgorithm(blob.digest));
  let size = 0;
  for await (const chunk of partOnDisk(path, blob.size)) {
    throwIfAborted(signal);
    size += take(hash, chunk);
    yield chunk;
  }
  try {
    await using file = await fs.promises.open(path, "a", 0o600);
    const rest = size < blob.size || blob.size === 0 ? source.blob(blob, { offset: size, signal }) : none();
    for await (const chunk of rest) {
      throwIfAborted(signal);
      if (size + chunk.length > blob.size)
        throw damaged(`${what} is longer than the ${blob.size} bytes that its manifest tells`);
      if (size + chunk.length > request.maxBytes) throw noSpace(what, blob.size);
      for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
      size += take(hash, chunk);
      onProgress?.(size);
      yield chunk;
    }
  } catch (error) {
    if (isErrno(error, "ENOSPC", "EDQUOT")) throw noSpace(what, blob.size, error);
    throw error;
  }
  throwIfAborted(signal);
  if (size < blob.size) throw damaged(`${what} ended after ${size} of its ${blob.size} bytes`);
  verify(hash, blob.digest, what);
}

function take(hash: Hash, chunk: Uint8Array): number {
  hash.update(chunk);
  return chunk.length;
}

async function* partOnDisk(path: string, wanted: number): AsyncGenerator<Uint8Array, void, void> {
  const size = fs.statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return;
  if (size <= wanted) yield* readFile(path);
  else fs.rmSync(path, { force: true });
}

async function* none(): AsyncGenerator<Uint8Array, void, void> {
  // The whole blob has been fetched before.
}

function verify(hash: Hash, expected: Digest, what: string): void {
  const actual = parseDigest(`${digestAlgorithm(expected)}:${hash.digest("hex")}`);
  if (actual !== expected) throw damaged(`${what} has digest ${actual}`);
}

/** The bytes themselves are wrong: going on with them is of no use. */
export function isDamaged(error: unknown): boolean {
  return error instanceof GantryError && (error.code === "corrupt" || error.code === "exhausted");
}

function damaged(why: string): GantryError {
  return new GantryError("corrupt", why, {
    hint: "the registry or what stands before it serves wrong bytes: try again, or push the image anew",
  });
}

function noSpace(what: string, size: number, cause?: unknown): GantryError {
  return new GantryError("exhausted", `no space left on device: store ${what} (${size} bytes)`, {
    hint: "free disk space, for example with: gantry system prune",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A small document: a config or manifest. @throws {GantryError} "corrupt" */
export async function readSmallBlob(
  source: ImageSource,
  blob: Descriptor,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const what = `blob ${blob.digest} of ${source.name}`;
  if (blob.size > maxBytes)
    throw new GantryError("corrupt", `${what} has ${blob.size} bytes, more than the ${maxBytes} allowed`);
  const hash = createHash(digestAlgorithm(blob.digest));
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source.blob(blob, { signal })) {
    throwIfAborted(signal);
    size += take(hash, chunk);
    if (size > blob.size)
      throw damaged(`${what} is longer than the ${blob.size} bytes that its manifest tells`);
    chunks.push(chunk);
  }
  if (size < blob.size) throw damaged(`${what} ended after ${size} of its ${blob.size} bytes`);
  verify(hash, blob.digest, what);
  return Buffer.concat(chunks);
}
