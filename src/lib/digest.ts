/** Digests of bytes, as OCI image-spec descriptors have them (descriptor.md, "Digests"). */
import { createHash } from "node:crypto";
import { GantryError } from "./errors.ts";

/** `sha256:` and 64 lower-case hex digits, or `sha512:` and 128. */
export type Digest = string & { readonly __digest: unique symbol };

const pattern = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: string): text is Digest {
  return pattern.test(text);
}

/** @throws {GantryError} "invalid" when `text` is not a sha256 or sha512 digest */
export function parseDigest(text: string): Digest {
  if (!isDigest(text))
    throw new GantryError("invalid", `invalid digest: ${JSON.stringify(text.slice(0, 160))}`);
  return text;
}

/** The sha256 digest of bytes or UTF-8 text. */
export function sha256(data: Uint8Array | string): Digest {
  return parseDigest(`sha256:${createHash("sha256").update(data).digest("hex")}`);
}

/** The hex part of a digest. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** `sha256` or `sha512`. */
export function digestAlgorithm(digest: Digest): string {
  return digest.slice(0, digest.indexOf(":"));
}

/** The digest of bytes by the algorithm of another digest. */
export function digestLike(like: Digest, data: Uint8Array): Digest {
  const algorithm = digestAlgorithm(like);
  return parseDigest(`${algorithm}:${createHash(algorithm).update(data).digest("hex")}`);
}
