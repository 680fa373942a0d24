/** What every BlobStore must do. Two handles on one place stand for two instances, and for one before and after a restart. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { type Digest, parseDigest } from "../lib/index.ts";
import type { BlobStore } from "./blob-store.ts";

const plenty = 1 << 30;

export function digestOfBytes(bytes: Uint8Array, algorithm: "sha256" | "sha512" = "sha256"): Digest {
  return parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`);
}

/** The bytes in pieces as a socket gives them. */
export async function* inPieces(bytes: Uint8Array, size = 64 << 10): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function* broken(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield* inPieces(bytes);
  throw new Error("the client is gone");
}

export async function wholeOf(body: Blob | ReadableStream<Uint8Array>): Promise<Buffer> {
  return Buffer.from(await new Response(body).arrayBuffer());
}

async function listed<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** @param open opens the same place anew */
export function blobStoreSuite(name: string, open: () => Promise<BlobStore>): void {
  describe(`blob store: ${name}`, () => {
    let store: BlobStore;
    let other: BlobStore;
    let ids = 0;
    const newId = (): string => `upload-${(ids += 1)}`;
    beforeAll(async () => {
      store = await open();
      other = await open();
    });
    afterAll(async () => {
      expect(await listed(store.uploads())).toEqual([]);
    });

    const stored = async (bytes: Uint8Array, digest = digestOfBytes(bytes)): Promise<Digest> => {
      const id = newId();
      await store.begin(id);
      await store.append(id, inPieces(bytes), plenty);
      expect(await store.commit(id, digest)).toBe(bytes.length);
      return digest;
    };

    test.each([0, 1, 100_000, 6 << 20, 20 << 20])(
      "%d bytes come back, whole and in ranges",
      async (size) => {
        const bytes = randomBytes(size);
        const digest = await stored(bytes);
        await store.sync([digest]);
        expect(await other.size(digest)).toBe(size);
        expect((await wholeOf(await other.read(digest))).equals(bytes)).toBe(true);
        for (const [start, end] of [
          [0, 0],
          [size >> 1, size - 1],
          [size - 1, size - 1],
        ] as const) {
          if (size === 0) continue;
          const range = await wholeOf(await other.read(digest, { start, end }));
          expect(range.equals(bytes.subarray(start, end + 1))).toBe(true);
        }
        expect((await listed(other.blobs())).find((blob) => blob.digest === digest)?.size).toBe(size);
        await other.remove(digest);
        expect(await store.size(digest)).toBeUndefined();
        await expect(store.read(digest)).rejects.toThrow();
        await other.remove(digest);
      },
      30_000,
    );

    test("an upload goes on elsewhere after every piece", async () => {
      const bytes = randomBytes(17_000_000);
      const id = newId();
      await store.begin(id);
      const steps = [1_000_000, 17, 6_000_000, 3_000_000];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const here = i % 2 === 0 ? store : other;
        const piece = bytes.subarray(at, at + (steps[i % steps.length] ?? 1));
        at = await here.append(id, inPieces(piece), plenty);
        expect(await store.uploaded(id)).toBe(at);
      }
      expect(await other.commit(id, digestOfBytes(bytes))).toBe(bytes.length);
      expect((await wholeOf(await store.read(digestOfBytes(bytes)))).equals(bytes)).toBe(true);
      expect(await store.uploaded(id)).toBeUndefined();
    }, 30_000);

    test.each([1000, 12 << 20])("a client that is gone after %d bytes comes back", async (size) => {
      const bytes = randomBytes(size + 1000);
      const id = newId();
      await store.begin(id);
      await expect(store.append(id, broken(bytes.subarray(0, size)), plenty)).rejects.toThrow("gone");
      const kept = (await other.uploaded(id)) ?? 0;
      expect(kept).toBeLessThanOrEqual(size);
      await store.append(id, inPieces(bytes.subarray(kept)), plenty);
      await store.commit(id, digestOfBytes(bytes));
    });

    test.each([1000, 12 << 20])("%d bytes with another digest are not kept", async (size) => {
      const bytes = randomBytes(size);
      const digest = digestOfBytes(Buffer.from("something else"));
      for (const committer of [store, other]) {
        const id = newId();
        await store.begin(id);
        await store.append(id, inPieces(bytes), plenty);
        // Not by expect().rejects: while that waits, Bun delivers no messages of threads.
        const refused: unknown = await committer.commit(id, digest).catch((error: unknown) => error);
        expect(refused).toMatchObject({ code: "DIGEST_INVALID" });
        expect(await store.uploaded(id)).toBeUndefined();
        expect(await store.size(digest)).toBeUndefined();
        expect(await store.size(digestOfBytes(bytes))).toBeUndefined();
      }
    });

    test.each([1000, 12 << 20])("sha512 of %d bytes", async (size) => {
      const bytes = randomBytes(size);
      const digest = await stored(bytes, digestOfBytes(bytes, "sha512"));
      expect((await wholeOf(await other.read(digest))).equals(bytes)).toBe(true);
    });

    test("the same blob twice, at once and after the other", async () => {
      const bytes = randomBytes(7 << 20);
      const digests = await Promise.all([stored(bytes), stored(bytes)]);
      await stored(bytes);
      expect((await wholeOf(await other.read(digests[0]))).equals(bytes)).toBe(true);
      expect((await listed(store.blobs())).filter((blob) => blob.digest === digests[0])).toHaveLength(1);
    });

    test("too many bytes are refused, a cancelled or unknown upload is none", async () => {
      const id = newId();
      await store.begin(id);
      await expect(store.append(id, inPieces(randomBytes(1001)), 1000)).rejects.toMatchObject({
        code: "SIZE_INVALID",
      });
      await other.cancel(id);
      expect(await store.uploaded(id)).toBeUndefined();
      await expect(store.append(id, inPieces(randomBytes(10)), 1000)).rejects.toThrow();
      expect(await store.uploaded("never-begun")).toBeUndefined();
      await store.cancel("never-begun");
    });

    test("uploads are listed while they last", async () => {
      const id = newId();
      await store.begin(id);
      const [upload] = await listed(other.uploads());
      expect(upload?.id).toBe(id);
      expect(Math.abs(Date.now() - (upload?.modifiedMs ?? 0))).toBeLessThan(60_000);
      await other.cancel(id);
    });
  });
}
