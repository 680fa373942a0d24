import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ImageRecord } from "../image/index.ts";
import { type Digest, sha256 } from "../lib/index.ts";
import { StepCache, type StepKey, stepKeyDigest } from "./step-cache.ts";

const dir = mkdtempSync(join(tmpdir(), "gantry-step-cache-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const parent = sha256("parent");
const base: StepKey = {
  parent,
  command: ["/bin/sh", "-c", "a b"],
  config: { Env: ["A=1"], User: "u" },
  author: undefined,
};

function record(id: Digest, from: Digest | undefined): ImageRecord {
  const config = {
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [] },
    history: [],
  } as const;
  return {
    id,
    config,
    repoTags: [],
    repoDigests: [],
    size: 0,
    createdAtMs: 0,
    parent: from,
    chainId: undefined,
    lowers: [],
    layerDirs: [],
    snapshotter: "overlay",
  };
}

describe("stepKeyDigest", () => {
  test.each<[string, Partial<StepKey>]>([
    ["another parent", { parent: sha256("other") }],
    ["scratch", { parent: undefined }],
    ["words divided otherwise", { command: ["/bin/sh", "-c", "a", "b"] }],
    ["another environment", { config: { Env: ["A=2"], User: "u" } }],
    ["the environment in another order", { config: { Env: ["B=1", "A=1"], User: "u" } }],
    ["another author", { author: "me" }],
    ["another network", { extra: { network: "none" } }],
  ])("%s is another step", (_, change) => {
    expect(stepKeyDigest({ ...base, ...change })).not.toBe(stepKeyDigest(base));
  });

  test("the order of fields does not count", () => {
    expect(stepKeyDigest({ ...base, config: { User: "u", Env: ["A=1"] } })).toBe(stepKeyDigest(base));
  });
});

describe("StepCache", () => {
  const images = new Map<string, ImageRecord>();
  const cache = new StepCache(join(dir, "steps"), { tryFind: (id) => images.get(id) });
  const id = sha256("image");

  test("finds what was stored while the image exists and has that parent", async () => {
    expect(await cache.find(base)).toBeUndefined();
    await cache.store(base, id);
    expect(await cache.find(base)).toBeUndefined();
    images.set(id, record(id, sha256("elsewhere")));
    expect(await cache.find(base)).toBeUndefined();
    images.set(id, record(id, parent));
    expect((await cache.find(base))?.id).toBe(id);
  });

  test("pruning drops entries of gone images, damaged and half-written ones", async () => {
    writeFileSync(join(dir, "steps", "a".repeat(64)), "garbage");
    writeFileSync(join(dir, "steps", ".temporary"), "");
    await cache.prune(true);
    expect(readdirSync(join(dir, "steps"))).toEqual([stepKeyDigest(base)]);
    images.clear();
    await cache.prune(true);
    expect(readdirSync(join(dir, "steps"))).toEqual([]);
  });
});
