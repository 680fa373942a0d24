/** The pull-through cache before Debian's docker-registry, which is killed, stalls, has enough of us, or lies. */
import { afterAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { ImageSource } from "../../src/image/index.ts";
import { createLogger, GantryError, type Digest, parseDigest, sha256 } from "../../src/lib/index.ts";
import { Metadata } from "../../src/registry/metadata.ts";
import { S3Blobs } from "../../src/registry/s3-blobs.ts";
import { migrate } from "../../src/registry/migrate.ts";
import { SqliteSql } from "../../src/registry/sqlite-sql.ts";
import { UpstreamCache, type UpstreamCacheOptions } from "../../src/registry/upstream-cache.ts";
import { upstreamTables } from "../../src/registry/upstream-records.ts";
import { TestDockerRegistry } from "../lib/docker-registry.ts";
import { TestRegistry } from "../lib/registry.ts";
import { RegistryClient, randomBlob } from "../lib/registry-client.ts";
import { TestS3 } from "../lib/s3.ts";

const upstream = await TestDockerRegistry.start();
const s3 = await TestS3.start();
const directory = mkdtempSync("/tmp/gantry-upstream-");
const sql = await SqliteSql.open(`${directory}/db`);
const metadata = await Metadata.open(sql);
await migrate(sql, "upstream", upstreamTables(sql));
const blobs = await S3Blobs.open({
  bucket: await s3.bucket(),
  endpoint: s3.endpoint,
  credentials: s3.credentials,
  spoolDirectory: `${directory}/spool`,
});
const layer = randomBytes(9 << 20);
const never = new AbortController().signal;

afterAll(async () => {
  await upstream[Symbol.asyncDispose]();
  await s3[Symbol.asyncDispose]();
  await sql.close();
  rmSync(directory, { recursive: true, force: true });
});

/** What stands between the cache and its upstream. */
let weather: "fine" | "busy" | "stalled" = "fine";
const requests: string[] = [];

/** Upstream as a source, by plain HTTP. */
async function sourceOf(repository: string): Promise<ImageSource> {
  const ask = async (path: string, signal?: AbortSignal): Promise<Response> => {
    requests.push(path);
    if (weather === "busy") throw new GantryError("unavailable", "429 Too Many Requests");
    const answer = await fetch(`${upstream.url}/v2/${repository}/${path}`, {
      headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
      signal: signal ?? never,
    }).catch((error: unknown) => {
      throw new GantryError("unavailable", "connection refused", { cause: error });
    });
    if (answer.status === 404) throw new GantryError("not-found", path);
    return answer;
  };
  return {
    name: repository,
    async manifest(reference = "latest", signal) {
      const answer = await ask(`manifests/${reference}`, signal);
      const bytes = new Uint8Array(await answer.arrayBuffer());
      return { digest: sha256(bytes), mediaType: answer.headers.get("content-type") ?? "", bytes };
    },
    async *blob({ digest }, options = {}) {
      const answer = await ask(`blobs/${digest}`, options.signal);
      let sent = 0;
      for await (const piece of answer.body ?? []) {
        if (weather === "stalled" && sent > 0) await new Promise(() => undefined);
        sent += piece.length;
        yield piece;
      }
    },
    referrers: async () => [],
    tags: async (signal) => ((await (await ask("tags/list", signal)).json()) as { tags: string[] }).tags,
    async [Symbol.asyncDispose]() {},
  };
}

function cacheOf(options: Partial<UpstreamCacheOptions> = {}): UpstreamCache {
  return new UpstreamCache({
    server: "upstream.test",
    prefix: "hub",
    source: sourceOf,
    metadata,
    blobs,
    spoolDirectory: `${directory}/spool`,
    logger: createLogger("error"),
    ttlMs: 60_000,
    stallMs: 500,
    ...options,
  });
}

async function pull(cache: UpstreamCache, repository: string, digest: Digest): Promise<Buffer> {
  const found = await cache.open(repository, digest, undefined);
  return Buffer.from(await new Response(found?.body ?? "").arrayBuffer());
}

describe("pull-through cache", () => {
  test("is fetched once for many, kept, and served while upstream is down", async () => {
    const pushed = await upstream.push("team/app", "v1", layer);
    const cache = cacheOf();
    expect(cache.serves("hub/team/app")).toBe(true);
    expect(cache.serves("hubble/app")).toBe(false);
    const manifest = await cache.manifest("hub/team/app", "v1", never);
    expect(manifest?.digest).toBe(parseDigest(pushed.manifest));
    requests.length = 0;
    const digest = parseDigest(pushed.layer);
    const many = await Promise.all(Array.from({ length: 8 }, () => pull(cache, "hub/team/app", digest)));
    expect(many.every((bytes) => bytes.equals(layer))).toBe(true);
    expect(requests).toEqual([`blobs/${digest}`]);
    await cache.blob("hub/team/app", parseDigest(pushed.config));
    await upstream.down();
    try {
      const other = cacheOf({ ttlMs: 0 });
      expect((await other.manifest("hub/team/app", "v1", never))?.digest).toBe(parseDigest(pushed.manifest));
      expect((await pull(other, "hub/team/app", digest)).equals(layer)).toBe(true);
      expect(await other.tags("hub/team/app", never)).toEqual(["v1"]);
      const range = await other.open("hub/team/app", digest, { start: 5, end: 9 });
      expect(Buffer.from(await new Response(range?.body ?? "").arrayBuffer())).toEqual(layer.subarray(5, 10));
      await expect(other.manifest("hub/team/app", "v2", never)).rejects.toMatchObject({ status: 503 });
    } finally {
      await upstream.up();
    }
  });

  test("a tag that has moved is seen after its time, and not while upstream has enough of us", async () => {
    const cache = cacheOf({ ttlMs: 300 });
    const first = await upstream.push("team/moving", "v1", randomBytes(100));
    expect((await cache.manifest("hub/team/moving", "v1", never))?.digest).toBe(parseDigest(first.manifest));
    const second = await upstream.push("team/moving", "v1", randomBytes(101));
    expect((await cache.manifest("hub/team/moving", "v1", never))?.digest).toBe(parseDigest(first.manifest));
    await Bun.sleep(350);
    weather = "busy";
    const stale = await cache.manifest("hub/team/moving", "v1", never);
    weather = "fine";
    expect(stale?.digest).toBe(parseDigest(first.manifest));
    const fresh = await cacheOf({ ttlMs: 0 }).manifest("hub/team/moving", "v1", never);
    expect(fresh?.digest).toBe(parseDigest(second.manifest));
    expect(await cache.manifest("hub/team/moving", "nothing", never)).toBeUndefined();
    expect(await cache.manifest("hub/team/nothing", "v1", never)).toBeUndefined();
  });

  test("an upstream that stalls breaks the answer, and the next try is whole", async () => {
    const cache = cacheOf();
    const bytes = randomBytes(5 << 20);
    const pushed = await upstream.push("team/stalled", "v1", bytes);
    await cache.manifest("hub/team/stalled", "v1", never);
    const digest = parseDigest(pushed.layer);
    weather = "stalled";
    const broken = await pull(cache, "hub/team/stalled", digest).catch((error: unknown) => String(error));
    weather = "fine";
    expect(broken).toContain("nothing for 0.5 s");
    expect(await blobs.size(digest)).toBeUndefined();
    expect((await pull(cache, "hub/team/stalled", digest)).equals(bytes)).toBe(true);
  });

  test("bytes of another digest are never whole and never kept", async () => {
    const cache = cacheOf();
    const bytes = randomBytes(3 << 20);
    const pushed = await upstream.push("team/lying", "v1", bytes);
    await cache.manifest("hub/team/lying", "v1", never);
    const path = upstream.blobPath(pushed.layer);
    const wrong = readFileSync(path);
    wrong[1000] = (wrong[1000] ?? 0) ^ 1;
    writeFileSync(path, wrong);
    const digest = parseDigest(pushed.layer);
    const found = await cache.open("hub/team/lying", digest, undefined);
    let got = 0;
    const read = (async () => {
      if (found?.body instanceof ReadableStream) for await (const piece of found.body) got += piece.length;
    })();
    await expect(read).rejects.toThrow("another digest");
    expect(got).toBeLessThan(bytes.length);
    expect(await blobs.size(digest)).toBeUndefined();
  });

  test("a client that reads nothing does not hold up the store", async () => {
    const cache = cacheOf();
    const bytes = randomBytes(8 << 20);
    const pushed = await upstream.push("team/slow", "v1", bytes);
    await cache.manifest("hub/team/slow", "v1", never);
    const digest = parseDigest(pushed.layer);
    const slow = await cache.open("hub/team/slow", digest, undefined);
    await cache.blob("hub/team/slow", digest);
    expect(await blobs.size(digest)).toBe(bytes.length);
    const late = Buffer.from(await new Response(slow?.body ?? "").arrayBuffer());
    expect(late.equals(bytes)).toBe(true);
  });

  test("what nobody asks for is forgotten, the longest unused first", async () => {
    const stored = async (): Promise<number> =>
      (await sql.query("SELECT DISTINCT digest FROM upstream_blob WHERE stored = 1")).length;
    const before = await stored();
    const kept = cacheOf({ maxBytes: 10 << 20 });
    expect(await kept.expire()).toBeGreaterThan(0);
    expect(await stored()).toBeLessThan(before);
    expect(await cacheOf({ maxAgeMs: -1000 }).expire()).toBeGreaterThan(0);
    expect(await stored()).toBe(0);
    expect(await sql.query("SELECT tag FROM upstream_tag")).toEqual([]);
  });
});

test("a registry with upstreams: pulled through, kept while they are down, not pushed to", async () => {
  const bytes = randomBytes(2 << 20);
  const pushed = await upstream.push("team/served", "v1", bytes);
  const server = `127.0.0.1:${upstream.port}`;
  const registry = await TestRegistry.start(`${directory}/registry`, ["--upstream", `hub=${server}`]);
  try {
    const client = new RegistryClient(registry.url);
    expect(await client.verify("hub/team/served", "v1")).toEqual([]);
    await client.push({ repository: "own", tag: "v1", layers: [randomBlob(100)] });
    const refused = client.push({ repository: "hub/team/own", tag: "v1", layers: [randomBlob(100)] });
    await expect(refused).rejects.toThrow("is a cache of another registry");
    await upstream.down();
    expect(await client.verify("hub/team/served", pushed.manifest)).toEqual([]);
    expect(await client.verify("own", "v1")).toEqual([]);
    expect((await client.ask("/v2/hub/team/other/manifests/v1")).status).toBe(503);
  } finally {
    await registry.stop();
    await upstream.up();
  }
}, 30_000);
