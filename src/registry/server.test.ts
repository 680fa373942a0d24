/** What a client can learn from the registry, and leave behind in it, by requests that fail. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createLogger, sha256 } from "../lib/index.ts";
import { Collector } from "./collector.ts";
import { DiskBlobs } from "./disk-blobs.ts";
import { MemorySql } from "./memory-sql.test-data.ts";
import { RegistryServer } from "./server.ts";

const root = mkdtempSync("/tmp/gantry-registry-server-");
afterAll(() => rmSync(root, { recursive: true, force: true }));

const logger = createLogger("error");
const imageType = "application/vnd.oci.image.manifest.v1+json";
const limits = { maxUploads: 5, maxUploadsOfRepository: 3 };
let sql: MemorySql;
let blobs: DiskBlobs;
let server: RegistryServer;
let nowMs: number;
let store: string;

beforeEach(async () => {
  nowMs = Date.now();
  store = mkdtempSync(`${root}/store-`);
  sql = await MemorySql.open();
  blobs = await DiskBlobs.open(store);
  server = await RegistryServer.open({ blobs, sql, logger, limits, now: () => nowMs });
});

function ask(
  method: string,
  path: string,
  body?: string,
  type = "application/octet-stream",
): Promise<Response> {
  const headers = { "Content-Type": type, "Content-Length": String(body?.length ?? 0) };
  return server.fetch(new Request(`http://r/v2/${path}`, { method, headers, body: body ?? null }));
}

const pushBlob = (repository: string, bytes: string, digest: string = sha256(bytes)): Promise<Response> =>
  ask("POST", `${repository}/blobs/uploads/?digest=${digest}`, bytes);

async function refusal(response: Response): Promise<{ code: string; detail: unknown }> {
  const { errors }: { errors: readonly { code: string; detail: unknown }[] } = JSON.parse(
    await response.text(),
  );
  return { code: `${response.status} ${errors[0]?.code}`, detail: errors[0]?.detail };
}

function image(config: string, layer: string): string {
  const configType = "application/vnd.oci.image.config.v1+json";
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: imageType,
    config: { mediaType: configType, digest: config, size: 1 },
    layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: layer, size: 1 }],
  });
}

test("a refused manifest does not tell what other repositories have", async () => {
  expect((await pushBlob("victim/private", "secret")).status).toBe(201);
  const decoy = sha256("decoy");
  for (const probed of [sha256("secret"), sha256("nowhere")]) {
    const refused = await refusal(
      await ask("PUT", "attacker/x/manifests/a", image(decoy, probed), imageType),
    );
    expect(refused).toEqual({
      code: "404 MANIFEST_BLOB_UNKNOWN",
      detail: [{ digest: decoy }, { digest: probed }],
    });
  }
});

test("a blob that is linked and has lost its bytes is missing", async () => {
  for (const bytes of ["config", "layer"]) expect((await pushBlob("a/b", bytes)).status).toBe(201);
  const manifest = image(sha256("config"), sha256("layer"));
  await blobs.remove(sha256("layer"));
  const refused = await refusal(await ask("PUT", "a/b/manifests/a", manifest, imageType));
  expect(refused.detail).toEqual([{ digest: sha256("layer") }]);
  expect((await pushBlob("a/b", "layer")).status).toBe(201);
  expect((await ask("PUT", "a/b/manifests/a", manifest, imageType)).status).toBe(201);
});

const begin = (repository: string): Promise<Response> => ask("POST", `${repository}/blobs/uploads/`);

const claims = async (): Promise<number> =>
  (await sql.query("SELECT digest FROM blob WHERE size < 0")).length;

describe("open uploads", () => {
  test("are limited, by repository and in all", async () => {
    for (let i = 0; i < 3; i++) expect((await begin("a/b")).status).toBe(202);
    const refused = await begin("a/b");
    expect(refused.headers.get("retry-after")).toBe("60");
    expect((await refusal(refused)).code).toBe("429 TOOMANYREQUESTS");
    for (let i = 0; i < 2; i++) expect((await begin("c/d")).status).toBe(202);
    expect((await refusal(await begin("e/f"))).code).toBe("429 TOOMANYREQUESTS");
    expect((await pushBlob("e/f", "whole")).status).toBe(201);
  });

  test("that have expired make room, all of them", async () => {
    for (let i = 0; i < 350; i++) {
      await server.metadata.beginUpload(`old-${i}`, "a/b", nowMs);
      await blobs.begin(`old-${i}`);
    }
    nowMs += 25 * 3_600_000;
    expect((await begin("a/b")).status).toBe(202);
    expect(readdirSync(`${store}/uploads`)).toHaveLength(1);
  });
});

describe("claims of blobs that did not come", () => {
  test("go with the push that failed", async () => {
    for (let i = 0; i < 5; i++)
      expect((await refusal(await pushBlob("a/b", "x", sha256(`${i}`)))).code).toBe("400 DIGEST_INVALID");
    expect(await claims()).toBe(0);
  });

  test("stay when another push has joined them, whichever fails", async () => {
    const digest = sha256("shared");
    await server.metadata.claimBlob(digest, 7);
    await server.metadata.claimBlob(digest, 7);
    await server.metadata.releaseClaim(digest, 7);
    expect(await claims()).toBe(1);
    await server.metadata.claimBlob(digest, 8);
    await server.metadata.releaseClaim(digest, 8);
    expect(await claims()).toBe(1);
  });

  test("are collected when they are old", async () => {
    await server.metadata.claimBlob(sha256("old"), 1);
    await server.metadata.claimBlob(sha256("fresh"), Date.now());
    const collector = await Collector.open({ metadata: server.metadata, blobs, logger });
    expect(await collector.run()).toMatchObject({ blobs: 1, bytes: 0 });
    expect(await claims()).toBe(1);
    await collector.close();
  });
});

describe("a manifest", () => {
  const nested = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;
  test.each([
    [
      "of another mediaType than its Content-Type",
      image(sha256("a"), sha256("b")),
      "application/vnd.oci.image.index.v1+json",
    ],
    [
      "of another mediaType than a foreign Content-Type",
      `{"mediaType":"a/b"}`,
      "application/vnd.example.thing.v1+json",
    ],
    ["10,000 deep", nested, imageType],
    [
      "10,000 deep in a field",
      `{"schemaVersion":2,"mediaType":"${imageType}","config":${nested},"layers":[]}`,
      imageType,
    ],
    [
      "10,000 deep in a field nobody knows",
      `{"schemaVersion":2,"mediaType":"${imageType}","x":${nested}}`,
      imageType,
    ],
    ["10,000 deep in a field of a foreign type", `{"x":${nested}}`, "application/vnd.example.thing.v1+json"],
    [
      "with a key twice of a foreign type",
      `{"blobs":[],"blobs":[]}`,
      "application/vnd.example.thing.v1+json",
    ],
    ["10,000 deep of a foreign type", nested, "application/vnd.example.thing.v1+json"],
    [
      "of Docker's first schema",
      `{"schemaVersion":1}`,
      "application/vnd.docker.distribution.manifest.v1+json",
    ],
    ["of no manifest's type", "{}", "text/plain"],
    ["of no JSON", "{", imageType],
  ])("%s is refused", async (_, body, type) => {
    expect((await refusal(await ask("PUT", "a/b/manifests/a", body, type))).code).toBe(
      "400 MANIFEST_INVALID",
    );
  });
});
