/** Pulling into the store and giving out of it, against a source that we make wrong in every way. Needs root. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { gzipSync } from "node:zlib";
import { mediaTypes, parseReference, type PullEvent, type RawManifest } from "../../src/image/index.ts";
import { type Digest, GantryError, parseDigest, sha256, tarHeader, tarTrailer } from "../../src/lib/index.ts";
import { bytesOf, failure, type Fixture, leftovers, openFixture, stream, tarOf } from "./image-fixture.ts";
import { MemorySource } from "./image-source.ts";

setDefaultTimeout(60_000);

const reference = parseReference("test.example/thing:1");
const unused = { force: true, noPrune: false, usedBy: () => undefined };
/** As docker makes them: the root and the directories on the way are not in the upper layer. */
const base = tarOf(
  "mkdir -p etc/deep; chmod 751 etc; chown 3:4 etc/deep; printf x >etc/a; touch -d @1000 etc",
);
const second = tarOf("mkdir -p etc/deep; printf y >etc/deep/b", "--no-recursion etc/deep/b --exclude=.");
const third = tarOf("printf z >c; touch .wh.gone");
const large = tarOf("head -c 3000000 /dev/urandom >large");

const pull = (
  at: Fixture,
  source: MemorySource,
  more: object = {},
): Promise<{ id: Digest; digest: Digest; upToDate: boolean }> =>
  at.store.pull({ source, reference, ...more });

const plain = (raw: RawManifest): RawManifest => ({ ...raw, bytes: Buffer.from(raw.bytes) });

/** Everything is gone that a failure could have left. */
async function expectNothing(at: Fixture): Promise<void> {
  await at.store.prune({ dangling: true, usedBy: () => undefined });
  await at.store.idle();
  expect(leftovers(at)).toEqual([]);
  expect(at.store.list()).toEqual([]);
}

describe("pull", () => {
  test.each(["gzip", "zstd", "none"] as const)(
    "%s: an image comes, is used, and goes out as it came",
    async (compression) => {
      await using at = openFixture();
      const source = new MemorySource();
      const made = source.image({ tars: [base, second, third], compression, docker: compression === "gzip" });
      const events: PullEvent[] = [];
      const pulled = await pull(at, source, { onProgress: (event: PullEvent) => events.push(event) });
      expect(pulled).toEqual({ id: made.id, digest: made.manifest.digest, upToDate: false });
      const image = at.store.find("test.example/thing:1");
      expect(image.repoTags).toEqual(["test.example/thing:1"]);
      expect(image.repoDigests).toEqual([`test.example/thing@${made.manifest.digest}`]);
      expect(at.store.find(`test.example/thing@${made.manifest.digest}`).id).toBe(made.id);
      const [top = "", middle = ""] = image.lowers;
      expect(fs.readFileSync(`${middle}/etc/deep/b`, "utf8")).toBe("y");
      // Directories that the archive did not describe are as those below.
      expect(fs.statSync(`${middle}/etc`)).toMatchObject({ mode: 0o40751, mtimeMs: 1_000_000 });
      expect(fs.statSync(`${middle}/etc/deep`)).toMatchObject({ uid: 3, gid: 4 });
      expect(fs.readFileSync(`${top}/c`, "utf8")).toBe("z");
      for (const { digest } of made.layers) {
        const seen = events.filter(({ layer }) => layer === digest).map(({ status }) => status);
        expect(seen[0]).toBe("waiting");
        expect(seen).toContain("downloaded");
        expect(seen.at(-1)).toBe("complete");
      }

      await using out = await at.store.source("test.example/thing:1");
      expect(await out.manifest()).toEqual(made.manifest);
      for (const layer of made.layers) {
        const bytes = source.blobs.get(layer.digest) ?? new Uint8Array();
        expect(sha256(await bytesOf(out.blob(layer)))).toBe(layer.digest);
        expect(await bytesOf(out.blob(layer, { offset: 100 }))).toEqual(Buffer.from(bytes.subarray(100)));
      }
      const config = { mediaType: "", digest: made.id, size: 0 };
      expect(await bytesOf(out.blob(config))).toEqual(made.config);

      source.asked.length = 0;
      expect(await pull(at, source)).toEqual({ ...pulled, upToDate: true });
      expect(source.asked).toEqual([]);
      await out[Symbol.asyncDispose]();
      await at.store.remove("test.example/thing:1", unused);
      await Bun.sleep(1);
      await expectNothing(at);
    },
  );

  test("an index: the fitting manifest is pulled, index and manifest are kept, another platform is another image", async () => {
    await using at = openFixture();
    const source = new MemorySource();
    const [amd, arm] = ["amd64", "arm64"].map((architecture) => source.image({ tars: [base], architecture }));
    if (amd === undefined || arm === undefined) throw new Error("no images");
    const entry = ({ manifest }: { manifest: RawManifest }, architecture: string): object => ({
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      size: manifest.bytes.length,
      platform: { os: "linux", architecture },
    });
    const index = source.put({
      mediaType: mediaTypes.ociIndex,
      schemaVersion: 2,
      manifests: [entry(arm, "arm64"), entry(amd, "amd64")],
    });
    expect(await pull(at, source)).toMatchObject({ id: amd.id, digest: index.digest });
    await using out = await at.store.source("test.example/thing:1");
    // Only one of its images is here: that is what can be pushed. The index can be had by its digest.
    expect(plain(await out.manifest())).toEqual(amd.manifest);
    expect(plain(await out.manifest(index.digest))).toEqual(index);
    const wanted = { os: "linux", architecture: "arm64" };
    expect(await pull(at, source, { platform: wanted })).toMatchObject({ id: arm.id, upToDate: false });
    expect(at.store.find("test.example/thing:1").id).toBe(arm.id);
    expect(await failure(pull(at, source, { platform: { os: "linux", architecture: "s390x" } }))).toStartWith(
      "not-found: no matching manifest for linux/s390x",
    );
  });

  test("layers that are here are not fetched; what two pulls want is fetched once, three at a time at most", async () => {
    await using at = openFixture();
    const source = new MemorySource();
    source.delay = () => Bun.sleep(3);
    const tars = [base, second, third, ...[1, 2, 3].map((n) => tarOf(`head -c 90000 /dev/urandom >f${n}`))];
    const one = source.image({ tars });
    const two = source.image({ tars: [...tars, large] });
    const pulls = [one, two, one].map(({ manifest }, i) =>
      at.store.pull({
        source,
        reference: parseReference(`test.example/thing${i}@${manifest.digest}`),
      }),
    );
    const ids = (await Promise.all(pulls)).map(({ id }) => id);
    expect(ids).toEqual([one.id, two.id, one.id]);
    const layers = source.asked.filter((digest) => two.layers.some((layer) => layer.digest === digest));
    expect(new Set(layers).size).toBe(7);
    expect(layers).toHaveLength(7);
    expect(source.mostRunning).toBeLessThanOrEqual(5);
    expect(at.store.list().map(({ repoTags }) => repoTags)).toEqual([[], []]);
  });

  test("one archive on different parents, and twice in an image", async () => {
    await using at = openFixture();
    const source = new MemorySource();
    const made = source.image({ tars: [base, third, second, third] });
    expect((await pull(at, source)).id).toBe(made.id);
    expect(source.asked.filter((digest) => digest === made.layers[1]?.digest)).toHaveLength(1);
  });

  test("a download that breaks off goes on where it ended, also in the next process", async () => {
    const root = fs.mkdtempSync("/tmp/gantry-image-");
    const source = new MemorySource();
    const made = source.image({ tars: [base, large] });
    const [, layer] = made.layers;
    if (layer === undefined) throw new Error("no layer");
    const bytes = source.blobs.get(layer.digest) ?? new Uint8Array();
    const first = openFixture(root);
    source.instead.set(layer.digest, async function* (offset) {
      yield bytes.subarray(offset, 1_000_000);
      throw new GantryError("unavailable", "connection reset");
    });
    expect(await failure(pull(first, source))).toBe("unavailable: connection reset");
    await first.store.idle();
    expect(first.store.list()).toEqual([]);
    await using at = first.reopen();
    source.instead.clear();
    source.asked.length = 0;
    expect((await pull(at, source)).id).toBe(made.id);
    expect(source.asked).toContain(`${layer.digest}+1000000`);
    await at.store.idle();
    expect(leftovers(at).filter((path) => path.startsWith("ingest"))).toEqual([]);
  });

  test("what is on disk of a download and is wrong is fetched anew", async () => {
    await using at = openFixture();
    const source = new MemorySource();
    const made = source.image({ tars: [large] });
    const [layer] = made.layers;
    if (layer === undefined) throw new Error("no layer");
    fs.writeFileSync(`${at.root}/ingest/download-${layer.digest.replace(":", "-")}`, randomBytes(500_000));
    expect((await pull(at, source)).id).toBe(made.id);
    expect(source.asked.at(-1)).toBe(layer.digest);
  });
});

test("memory is bounded whatever the size of a layer", async () => {
  await using at = openFixture();
  const source = new MemorySource();
  const pieces = 300;
  function* tar(): Generator<Uint8Array> {
    yield tarHeader({ path: "big", type: "file", size: pieces << 20 });
    for (let i = 0; i < pieces; i++) yield Buffer.alloc(1 << 20, i);
    yield tarTrailer;
  }
  const hash = createHash("sha256");
  for (const piece of tar()) hash.update(piece);
  const digest = parseDigest(`sha256:${hash.digest("hex")}`);
  const size = (pieces << 20) + 512 + tarTrailer.length;
  source.instead.set(digest, async function* () {
    yield* tar();
  });
  const rootfs = { type: "layers", diff_ids: [digest] };
  const { id } = source.image({
    tars: [],
    config: { rootfs },
    manifest: { layers: [{ mediaType: mediaTypes.ociLayer, digest, size }] },
  });
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 10);
  expect((await pull(at, source)).id).toBe(id);
  clearInterval(watch);
  expect(most - before).toBeLessThan(100 << 20);
});

describe("what is wrong is told and leaves nothing", () => {
  type Spoil = (source: MemorySource) => void;
  const first = (source: MemorySource): { digest: Digest; bytes: Uint8Array } => {
    const made = source.image({ tars: [base, large] });
    const digest = made.layers[1]?.digest ?? made.id;
    return { digest, bytes: source.blobs.get(digest) ?? new Uint8Array() };
  };
  const body =
    (change: (bytes: Uint8Array) => Uint8Array): Spoil =>
    (source) => {
      const { digest, bytes } = first(source);
      source.instead.set(digest, () => stream(change(bytes)));
    };
  const cases: Readonly<Record<string, readonly [spoil: Spoil, error: RegExp]>> = {
    "a wrong byte in the middle": [body((bytes) => Buffer.from(bytes).fill(7, 40_000, 40_100)), /^corrupt: /],
    "other bytes of the same length, well compressed": [
      body((bytes) => Buffer.concat([gzipSync(third), Buffer.alloc(bytes.length)]).subarray(0, bytes.length)),
      /^corrupt: /,
    ],
    "a short body": [body((bytes) => bytes.subarray(0, 70_000)), /^corrupt: .*ended after 70000 of its/],
    "a giant body": [
      (source) => {
        const { digest, bytes } = first(source);
        source.instead.set(digest, async function* () {
          yield bytes;
          for (;;) yield Buffer.alloc(1 << 20);
        });
      },
      /^corrupt: .*is longer than the \d+ bytes/,
    ],
    "a blob that is not there": [
      (source) => void source.blobs.delete(first(source).digest),
      /^not-found: blob unknown/,
    ],
    "a wrong diff id": [
      (source) =>
        void source.image({
          tars: [base, third],
          config: { rootfs: { type: "layers", diff_ids: [sha256(base), sha256("other")] } },
        }),
      /^corrupt: the layer has digest/,
    ],
    "a config that names another number of layers": [
      (source) =>
        void source.image({
          tars: [base, third],
          config: { rootfs: { type: "layers", diff_ids: [sha256(base)] } },
        }),
      /^corrupt: .*names 1 layers, the manifest 2/,
    ],
    "a config of another digest": [
      (source) => {
        const { id } = source.image({ tars: [base] });
        source.blobs.set(id, Buffer.from("{}".padEnd(source.blobs.get(id)?.length ?? 0)));
      },
      /^corrupt: .*has digest/,
    ],
    "a foreign layer": [
      (source) => {
        const { layers } = source.image({ tars: [base] });
        const foreign = layers.map((layer) => ({
          ...layer,
          mediaType: mediaTypes.dockerForeignLayer,
          urls: ["https://a.example/b"],
        }));
        source.image({ tars: [base], manifest: { layers: foreign } });
      },
      /^unsupported: .*https:\/\/a\.example\/b/,
    ],
    "a layer of an unknown kind": [
      (source) => {
        const { layers } = source.image({ tars: [base] });
        source.image({
          tars: [base],
          manifest: { layers: layers.map((layer) => ({ ...layer, mediaType: "application/x-secret" })) },
        });
      },
      /^unsupported: .*unknown type application\/x-secret/,
    ],
    "an artifact": [
      (source) => {
        const empty = source.add(Buffer.from("{}"), mediaTypes.ociEmpty);
        source.image({ tars: [base], manifest: { config: empty, artifactType: "application/sbom" } });
      },
      /^unsupported: .*artifact \(application\/sbom\)/,
    ],
    "schema 1": [
      (source) => {
        const mediaType = "application/vnd.docker.distribution.manifest.v1+json";
        const bytes = Buffer.from('{"schemaVersion":1,"fsLayers":[]}');
        source.manifests.set("s1", { digest: sha256(bytes), mediaType, bytes });
        source.main = "s1";
      },
      /^unsupported: .*schema version 1/,
    ],
    "a manifest whose bytes are others": [
      (source) => {
        const { manifest } = source.image({ tars: [base] });
        source.manifests.set(manifest.digest, { ...manifest, bytes: Buffer.from("{}") });
      },
      /^corrupt: .*has another digest/,
    ],
    "an index that tells another size": [
      (source) => {
        const { manifest } = source.image({ tars: [base] });
        const { mediaType, digest } = manifest;
        source.put({
          mediaType: mediaTypes.ociIndex,
          schemaVersion: 2,
          manifests: [{ mediaType, digest, size: 7, platform: { os: "linux", architecture: "amd64" } }],
        });
      },
      /^corrupt: .*its index tells 7/,
    ],
    "no tar at all": [(source) => void source.image({ tars: [randomBytes(4096)] }), /^corrupt: /],
  };

  test.each(Object.entries(cases))("%s", async (_name, [spoil, error]) => {
    await using at = openFixture();
    const source = new MemorySource();
    spoil(source);
    expect(await failure(pull(at, source))).toMatch(error);
    await expectNothing(at);
  });

  test("called off in the middle", async () => {
    await using at = openFixture();
    const source = new MemorySource();
    source.image({ tars: [base, large] });
    const called = new AbortController();
    source.delay = async (_digest, offset) => {
      if (offset > 600_000) called.abort(new GantryError("canceled", "the client has gone"));
    };
    expect(await failure(pull(at, source, { signal: called.signal }))).toBe("canceled: the client has gone");
    expect(at.store.list()).toEqual([]);
    await expectNothing(at);
  });
});
