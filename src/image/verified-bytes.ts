/** Bytes that are checked on their way: those who write them somewhere learn at the end whether they may stay. */
import { createHash } from "node:crypto";
import { digestAlgorithm, GantryError, parseDigest } from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";
import type { BlobWrite } from "./endpoint.ts";
import type { Descriptor } from "./manifest.ts";

/** @throws {GantryError} "corrupt" at the end when the bytes are not those of the descriptor, and at once when they are too many */
export async function* verifiedBytes(
  { digest, size }: Descriptor,
  { open, onProgress, signal }: BlobWrite,
): AsyncGenerator<Uint8Array, void, void> {
  const hash = createHash(digestAlgorithm(digest));
  let count = 0;
  for await (const chunk of open(0)) {
    throwIfAborted(signal);
    count += chunk.length;
    if (count > size) throw wrong(`blob ${digest} is longer than its ${size} bytes`);
    hash.update(chunk);
    yield chunk;
    onProgress?.(count);
  }
  if (count < size) throw wrong(`blob ${digest} ended after ${count} of its ${size} bytes`);
  const actual = parseDigest(`${digestAlgorithm(digest)}:${hash.digest("hex")}`);
  if (actual !== digest) throw wrong(`blob ${digest} has digest ${actual}`);
}

function wrong(why: string): GantryError {
  return new GantryError("corrupt", why, {
    hint: "the source serves wrong bytes: get or make the image anew",
  });
}
