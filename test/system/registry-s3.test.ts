/** The blob store on S3, against a server that we did not write. */
import { afterAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import {
  blobStoreSuite,
  digestOfBytes,
  inPieces,
  wholeOf,
} from "../../src/registry/blob-store.test-suite.ts";
import { S3Client } from "../../src/registry/s3-client.ts";
import { s3Place } from "../../src/registry/s3-config.ts";
import { S3Blobs } from "../../src/registry/s3-blobs.ts";
import { TestS3 } from "../lib/s3.ts";

const server = await TestS3.start();
const spoolDirectory = mkdtempSync("/tmp/gantry-s3-spool-");
const { endpoint, credentials } = server;
const bucket = await server.bucket();
const place = { bucket: `${bucket}/some/prefix`, endpoint, credentials };
const open = (redirect = false): Promise<S3Blobs> => S3Blobs.open({ ...place, spoolDirectory, redirect });

afterAll(async () => {
  rmSync(spoolDirectory, { recursive: true, force: true });
  await server[Symbol.asyncDispose]();
});

blobStoreSuite("S3", open);

describe("S3", () => {
  test("what a killed instance has left is swept, what is in use is not", async () => {
    const store = await open();
    const client = new S3Client(s3Place(place));
    // Of the blob that came twice at once, above.
    await store.sweep(Date.now() + 60_000);
    const kept = randomBytes(9 << 20);
    await store.begin("kept");
    await store.append("kept", inPieces(kept), 1e9);
    await store.commit("kept", digestOfBytes(kept));
    await store.begin("open");
    await store.append("open", inPieces(kept), 1e9);
    await client.createMultipart("data/lost");
    await client.put("data/orphan", randomBytes(1000));
    expect(await store.sweep(Date.now() - 60_000)).toBe(0);
    expect(await store.sweep(Date.now() + 60_000)).toBe(1000);
    expect(await client.head("data/orphan")).toBeUndefined();
    const left = [];
    for await (const { key } of client.multiparts("data/")) left.push(key);
    expect(left).toEqual(["data/open"]);
    expect(await store.uploaded("open")).toBe(kept.length);
    await store.cancel("open");
    expect((await wholeOf(await store.read(digestOfBytes(kept)))).equals(kept)).toBe(true);
  });

  test("clients are sent to S3 with a signed address", async () => {
    const store = await open(true);
    const bytes = randomBytes(1000);
    await store.begin("r");
    await store.append("r", inPieces(bytes), 1e9);
    await store.commit("r", digestOfBytes(bytes));
    const location = (await store.location(digestOfBytes(bytes))) ?? "";
    expect(location).not.toContain(credentials.secretAccessKey);
    expect(Buffer.from(await (await fetch(location)).arrayBuffer()).equals(bytes)).toBe(true);
    expect(await (await open()).location(digestOfBytes(bytes))).toBeUndefined();
  });

  test("32 uploads at once stay below 100 MB more", async () => {
    const store = await open();
    const piece = randomBytes(64 << 10);
    const slow = async function* (): AsyncIterable<Uint8Array> {
      for (let sent = 0; sent < 12 << 20; sent += piece.length) {
        yield piece;
        await Bun.sleep(0);
      }
    };
    Bun.gc(true);
    const before = process.memoryUsage().rss;
    let peak = before;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
    const ids = Array.from({ length: 32 }, (_, i) => `many-${i}`);
    await Promise.all(
      ids.map(async (id) => {
        await store.begin(id);
        await store.append(id, slow(), 1e9);
      }),
    );
    clearInterval(watch);
    await Promise.all(ids.map((id) => store.cancel(id)));
    expect((peak - before) / 1e6).toBeLessThan(100);
    expect(readdirSync(spoolDirectory)).toEqual([]);
  }, 60_000);

  test("a wrong bucket or server is told at the start", async () => {
    const nowhere = S3Blobs.open({ bucket: "s3://no-such-bucket", endpoint, credentials, spoolDirectory });
    await expect(nowhere).rejects.toThrow("s3://no-such-bucket: cannot get the bucket: NoSuchBucket");
    await expect(S3Blobs.open({ ...place, bucket: "bucket", spoolDirectory })).rejects.toThrow(
      "no address of a bucket",
    );
  });
});
