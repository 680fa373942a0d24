/** Digesting a stream on its way. */
import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "../lib/index.ts";

/** Filled while the stream is read; `digest` when it has ended. */
export interface Digester {
  size: number;
  digest: Digest | undefined;
}

export async function* digested(
  source: AsyncIterable<Uint8Array>,
  into: Digester,
): AsyncGenerator<Uint8Array, void, void> {
  const hash = createHash("sha256");
  for await (const chunk of source) {
    hash.update(chunk);
    into.size += chunk.length;
    yield chunk;
  }
  into.digest = parseDigest(`sha256:${hash.digest("hex")}`);
}

/** The digest of a whole stream. */
export async function digestOf(source: AsyncIterable<Uint8Array>): Promise<Digest> {
  const hash = createHash("sha256");
  for await (const chunk of source) hash.update(chunk);
  return parseDigest(`sha256:${hash.digest("hex")}`);
}
