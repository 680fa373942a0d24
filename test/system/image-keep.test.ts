/** What the store keeps, frees, counts and repairs. Needs root. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import { dirname } from "node:path";
import { Database as Sqlite } from "bun:sqlite";
import { type ImageSource, parseReference, type VerifyReport } from "../../src/image/index.ts";
import type { Digest } from "../../src/lib/index.ts";
import {
  bytesOf,
  failure,
  type Fixture,
  leftovers,
  openFixture,
  sh,
  stream,
  tarOf,
} from "./image-fixture.ts";
import { type MadeImage, MemorySource } from "./image-source.ts";

setDefaultTimeout(60_000);

const unused = { force: true, noPrune: false, usedBy: () => undefined };
const nobody = (): undefined => undefined;
const base = tarOf("mkdir -p etc/deep; printf x >etc/a; head -c 700000 /dev/urandom >etc/deep/b");
const upper = tarOf("mkdir etc; printf y >etc/c; head -c 50000 /dev/urandom >d");
const reference = parseReference("test.example/thing:1");

async function pulled(
  at: Fixture,
  tars = [base, upper],
  name = reference,
): Promise<[MemorySource, MadeImage]> {
  const source = new MemorySource();
  const made = source.image({ tars });
  await at.store.pull({ source, reference: name });
  return [source, made];
}

const hexOf = (digest: Digest | undefined): string => (digest ?? "").slice(7);

describe("removal and the collector", () => {
  test("manifests and archives go with the image, and stay while another needs them", async () => {
    await using at = openFixture();
    const [, one] = await pulled(at);
    const [, two] = await pulled(at, [base], parseReference("test.example/other:1"));
    expect(two.layers[0]).toEqual(one.layers[0] ?? two.layers[0]);
    await at.store.remove("test.example/thing:1", unused);
    await Bun.sleep(5);
    await at.store.idle();
    expect(leftovers(at).sort()).toEqual(
      [`blobs/sha256/${hexOf(two.layers[0]?.digest)}`, `layers/${hexOf(two.diffIds[0])}`].sort(),
    );
    await at.store.remove(two.id, unused);
    await Bun.sleep(5);
    await at.store.idle();
    expect(leftovers(at)).toEqual([]);
  });

  test("a tag that moves leaves the old image by its digest; prune takes that", async () => {
    await using at = openFixture();
    const [, one] = await pulled(at);
    const [, two] = await pulled(at, [upper]);
    expect(at.store.find(one.id)).toMatchObject({
      repoTags: [],
      repoDigests: [`test.example/thing@${one.manifest.digest}`],
    });
    const { removed } = await at.store.prune({ dangling: true, usedBy: nobody });
    expect(removed).toContainEqual({ untagged: `test.example/thing@${one.manifest.digest}` });
    expect(removed).toContainEqual({ deleted: one.id });
    expect(at.store.list().map(({ id }) => id)).toEqual([two.id]);
  });

  test("a lease keeps layers through removal and the next process, until it ends", async () => {
    const root = fs.mkdtempSync("/tmp/gantry-image-");
    const first = openFixture(root);
    const [, made] = await pulled(first);
    const { lowers } = first.store.find(made.id);
    first.store.lease("container:1", made.id);
    await first.store.remove(made.id, unused);
    await first.store.idle();
    await using at = first.reopen();
    at.store.restoreLeases(new Map([["container:1", made.id]]));
    await Bun.sleep(5);
    for (const lower of lowers) expect(fs.existsSync(lower)).toBe(true);
    at.store.endLease("container:1");
    await Bun.sleep(5);
    await at.store.prune({ dangling: true, usedBy: nobody });
    await at.store.idle();
    expect(leftovers(at)).toEqual([]);
  });

  test("compressed forms made for pushing are kept for the next push and pruned, and come out the same again", async () => {
    await using at = openFixture();
    const image = await at.store.importTar(stream(upper), {
      reference: "own:1",
      created: "2024-01-01T00:00:00Z",
    });
    const push = async (compression?: "zstd"): Promise<string[]> => {
      await using out = await at.store.source("own:1", compression === undefined ? {} : { compression });
      const raw = await out.manifest();
      const text = Buffer.from(raw.bytes).toString();
      const { layers } = JSON.parse(text) as {
        layers: { mediaType: string; digest: Digest; size: number }[];
      };
      const blobs = await Promise.all(layers.map(async (layer) => (await bytesOf(out.blob(layer))).length));
      expect(blobs).toEqual(layers.map(({ size }) => size));
      expect(text).toContain(image.id);
      return [raw.digest, ...layers.map(({ mediaType }) => mediaType.replace(/.*\+/, ""))];
    };
    const first = await push();
    expect(first[1]).toBe("gzip");
    expect(leftovers(at).filter((path) => path.startsWith("blobs"))).toHaveLength(1);
    await at.store.prune({ dangling: true, usedBy: nobody });
    expect(leftovers(at).filter((path) => path.startsWith("blobs"))).toEqual([]);
    expect(await push()).toEqual(first);
    expect((await push("zstd"))[1]).toBe("zstd");
    at.store.noteDigest(parseReference("own:1"), first[0] as Digest);
    expect(at.store.find("own:1").repoDigests).toEqual([`own@${first[0]}`]);
    expect(await push()).toEqual(first);
  });

  test("pulls, loads and pushes go on beside prunes: nothing fails, nothing is left", async () => {
    await using at = openFixture();
    const source = new MemorySource();
    const made = [[base, upper], [base], [upper, base]].map((tars) => source.image({ tars }));
    let running = true;
    const prunes = (async () => {
      for (let n = 0; running; n++) {
        await at.store.prune({ dangling: n % 2 === 0, usedBy: nobody });
        await Bun.sleep(7);
      }
    })();
    const work = made.map(async (image, i) => {
      for (let round = 0; round < 4; round++) {
        const name = parseReference(`test.example/p${i}@${image.manifest.digest}`);
        const { id } = await at.store.pull({ source, reference: name });
        expect(id).toBe(image.id);
        if (at.store.tryFind(id) === undefined) continue;
        await using out = await at.store.source(id);
        const raw = await out.manifest();
        expect(raw.digest).toBe(image.manifest.digest);
        for (const layer of image.layers) expect((await bytesOf(out.blob(layer))).length).toBe(layer.size);
      }
    });
    await Promise.all(work);
    running = false;
    await prunes;
    await at.store.prune({ dangling: false, usedBy: nobody });
    await at.store.idle();
    expect(leftovers(at)).toEqual([]);
    expect(at.store.list()).toEqual([]);
  });
});

describe("disk usage", () => {
  test("adds up to what du says, to the byte; shared and unique parts are right", async () => {
    await using at = openFixture();
    const du = (...paths: string[]): number =>
      paths.reduce((sum, path) => sum + Number(sh(at.root, `du -xsB1 ${path}`).toString().split("\t")[0]), 0);
    const [, one] = await pulled(at);
    const [, two] = await pulled(at, [base], parseReference("test.example/other:1"));
    await at.store.importTar(stream(tarOf("printf 1 >a; ln a b; truncate -s 1M sparse")), {
      reference: "own:1",
    });
    await at.store.idle();
    const usage = await at.store.diskUsage();
    expect(usage.totalBytes).toBe(du("layers", "blobs", "ingest", "scratch", "lowers"));
    expect(usage.temporaryBytes).toBe(du("ingest"));
    const of = (id: Digest): { bytes: number; sharedBytes: number } =>
      usage.images.find((image) => image.id === id) ?? { bytes: 0, sharedBytes: 0 };
    const blob = (digest: Digest | undefined): string => `blobs/sha256/${hexOf(digest)}`;
    const shared = du(`layers/${hexOf(one.diffIds[0])}`, blob(one.layers[0]?.digest));
    expect(of(two.id)).toMatchObject({ bytes: shared, sharedBytes: shared });
    expect(of(one.id).sharedBytes).toBe(shared);
    const unique = usage.images.reduce((sum, { bytes, sharedBytes }) => sum + bytes - sharedBytes, 0);
    expect(unique + shared).toBe(usage.layerBytes + usage.blobBytes);
  });
});

describe("verify", () => {
  const states = ({ damaged }: VerifyReport): string[] =>
    damaged.map(({ kind, state }) => `${kind} ${state}`).sort();

  test("an honest store has nothing to tell", async () => {
    await using at = openFixture();
    await pulled(at);
    await at.store.importTar(stream(upper), { reference: "own:1" });
    const report = await at.store.verify();
    // A config, a manifest, two archives and two layers; a config and a layer.
    expect(report).toMatchObject({ items: 8, damaged: [] });
    expect(report.bytes).toBeGreaterThan(base.length);
    await at.store.idle();
    expect(leftovers(at).filter((path) => path.startsWith("ingest"))).toEqual([]);
  });

  test("each damaged thing is named, and made anew from the layer's archive or the registry", async () => {
    await using at = openFixture(undefined, "overlay");
    const [source, made] = await pulled(at);
    const [top = "", bottom = ""] = at.store.find(made.id).lowers;
    const [first, second] = made.layers;
    fs.writeFileSync(`${top}/etc/c`, "z");
    fs.rmSync(dirname(bottom), { recursive: true });
    fs.appendFileSync(`${at.root}/blobs/sha256/${hexOf(first?.digest)}`, "more");
    fs.rmSync(`${at.root}/blobs/sha256/${hexOf(second?.digest)}`);
    const db = new Sqlite(`${at.root}/db`);
    db.run("UPDATE image SET config = ? WHERE id = ?", [Buffer.from("{}"), made.id]);
    db.run(
      "UPDATE image_manifest SET bytes = CAST(replace(CAST(bytes AS TEXT), 'layers', 'lawyer') AS BLOB)",
    );
    db.close();
    const broken = [
      "blob damaged",
      "blob missing",
      "config damaged",
      "layer damaged",
      "layer missing",
      "manifest damaged",
    ];
    expect(states(await at.store.verify())).toEqual(broken);
    expect(states(await at.store.verify({ references: [made.id] }))).toEqual(broken);
    const asked: string[] = [];
    const repair = async (name: string): Promise<ImageSource> => {
      asked.push(name);
      return source;
    };
    expect(states(await at.store.verify({ repair }))).toEqual(
      broken.map((text) => text.replace(/ .*/, " repaired")).sort(),
    );
    expect(asked).toEqual([`test.example/thing@${made.manifest.digest}`]);
    expect((await at.store.verify()).damaged).toEqual([]);
    expect(fs.readFileSync(`${top}/etc/c`, "utf8")).toBe("y");
    expect(fs.statSync(`${bottom}/etc/deep/b`).size).toBe(700_000);
    await at.store.idle();
    expect(leftovers(at).filter((path) => path.startsWith("ingest"))).toEqual([]);
  });

  test("what cannot be repaired stays as it is, and it is said why", async () => {
    await using at = openFixture(undefined, "overlay");
    const [source, made] = await pulled(at);
    const [first] = made.layers;
    const path = `${at.root}/blobs/sha256/${hexOf(first?.digest)}`;
    fs.appendFileSync(path, "more");
    source.instead.set(first?.digest ?? "", () => stream(Buffer.alloc(first?.size ?? 0)));
    const { damaged } = await at.store.verify({ repair: async () => source });
    // Without its archive nothing tells whether the layer is right.
    expect(states({ items: 0, bytes: 0, damaged })).toEqual(["blob damaged", "layer damaged"]);
    expect(damaged[0]?.message).toMatch(/could not be repaired: .*has digest/);
    expect(fs.existsSync(path)).toBe(true);
    const image = await at.store.importTar(stream(upper), { reference: "own:1" });
    fs.writeFileSync(`${image.lowers[0]}/etc/c`, "changed");
    const own = await at.store.verify({ references: ["own:1"], repair: async () => undefined });
    expect(own.damaged[0]?.message).toMatch(/could not be repaired: .*changed on disk/);
    expect(await failure(at.store.verify({ references: ["none"] }))).toStartWith("not-found");
  });

  test("a layer file that was changed is written again from the archive in it or beside it", async () => {
    await using at = openFixture();
    const [, made] = await pulled(at);
    const files = made.diffIds.length === 0 ? [] : fs.globSync(`${at.root}/layers/*/layer.erofs`);
    // Kernels that cannot mount such files keep directories.
    if (files.length === 0) return;
    const [one = "", two = ""] = files;
    const flip = (path: string, at: number): void => {
      const bytes = fs.readFileSync(path);
      bytes.writeUInt8((bytes[at] ?? 0) ^ 1, at);
      fs.writeFileSync(path, bytes);
    };
    const before = [one, two].map((path) => fs.readFileSync(path));
    flip(one, 20_000);
    flip(two, fs.statSync(two).size - 300);
    expect(states(await at.store.verify())).toEqual(["layer damaged", "layer damaged"]);
    expect(states(await at.store.verify({ repair: async () => undefined }))).toEqual([
      "layer repaired",
      "layer repaired",
    ]);
    expect(
      [one, two].map((path) => fs.readFileSync(path).equals(before[path === one ? 0 : 1] ?? Buffer.alloc(0))),
    ).toEqual([true, true]);
  });
});
