import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import type { ImageSource, RawManifest } from "../image/index.ts";
import { createLogger, type Digest, sha256 } from "../lib/index.ts";
import { DiskBlobs } from "./disk-blobs.ts";
import { MemorySql } from "./memory-sql.test-data.ts";
import { Metadata } from "./metadata.ts";
import { migrate } from "./migrate.ts";
import { UpstreamCache } from "./upstream-cache.ts";
import { upstreamTables } from "./upstream-records.ts";

const directory = mkdtempSync("/tmp/gantry-upstream-cache-");
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const never = new AbortController().signal;
const mediaType = "application/vnd.oci.image.manifest.v1+json";

function manifestOf(digest: Digest, size: number): RawManifest {
  const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest, size };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [] }));
  return { digest: sha256(bytes), mediaType, bytes };
}

/** A cache of an upstream that answers with `answer`. */
async function cacheOf(answer: (signal: AbortSignal | undefined) => Promise<RawManifest>) {
  const sql = await MemorySql.open();
  const metadata = await Metadata.open(sql);
  await migrate(sql, "upstream", upstreamTables(sql));
  const source: ImageSource = {
    name: "up",
    manifest: async (_reference, signal) => answer(signal),
    async *blob() {},
    referrers: async () => [],
    tags: async () => [],
    async [Symbol.asyncDispose]() {},
  };
  return new UpstreamCache({
    server: "up.test",
    prefix: "",
    source: async () => source,
    metadata,
    blobs: await DiskBlobs.open(directory),
    spoolDirectory: directory,
    logger: createLogger("error"),
    ttlMs: 0,
  });
}

test("a client that leaves takes neither the others' answer nor upstream with it", async () => {
  const manifest = manifestOf(sha256(Buffer.from("c")), 1);
  let asked = 0;
  const cache = await cacheOf(async (signal) => {
    asked += 1;
    await Bun.sleep(30);
    signal?.throwIfAborted();
    return manifest;
  });
  for (const round of [1, 2]) {
    const client = new AbortController();
    const leaver = cache.manifest("a/b", "1", client.signal).catch((error: unknown) => String(error));
    const stayer = cache.manifest("a/b", "1", never);
    setTimeout(() => client.abort(new Error("gone")), 5);
    expect(await leaver).toBe("Error: gone");
    expect((await stayer)?.digest).toBe(manifest.digest);
    expect(asked).toBe(round);
  }
  await cache.manifest("a/b", "1", never);
  expect(asked).toBe(3);
});

test("a false size in a manifest does not outlive the next one", async () => {
  const digest = sha256(Buffer.from("four"));
  let size = 999;
  const cache = await cacheOf(async () => manifestOf(digest, size));
  await cache.manifest("a/b", "1", never);
  expect(await cache.size("a/b", digest)).toBe(999);
  size = 4;
  await cache.manifest("a/b", "1", never);
  expect(await cache.size("a/b", digest)).toBe(4);
});
