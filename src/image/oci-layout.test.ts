/** Layouts and archives without root: what is written is read again, what is hostile is refused. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type Digest, GantryError, sha256, tarHeader, tarPadding, tarTrailer } from "../lib/index.ts";
import { createDockerArchive, openDockerArchive } from "./docker-archive.ts";
import type { ImageSource, ImageTarget } from "./endpoint.ts";
import { createLayout, createLayoutArchive } from "./layout-target.ts";
import { type Descriptor, mediaTypes, parseManifest, type RawManifest } from "./manifest.ts";
import { blobPath, openLayout, openLayoutArchive } from "./oci-layout.ts";

const dir = fs.mkdtempSync("/tmp/gantry-layout-");
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const tar = (files: Readonly<Record<string, Uint8Array | string>>): Buffer =>
  Buffer.concat([
    ...Object.entries(files).flatMap(([path, content]) => {
      const bytes = Buffer.from(content);
      return [tarHeader({ path, type: "file", size: bytes.length }), bytes, tarPadding(bytes.length)];
    }),
    tarTrailer,
  ]);

const layerTar = tar({ a: "x".repeat(5000) });
const layer = gzipSync(layerTar);
const config = Buffer.from(
  JSON.stringify({
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [sha256(layerTar)] },
  }),
);
const describeBlob = (bytes: Uint8Array, mediaType: string): Descriptor => ({
  mediaType,
  digest: sha256(bytes),
  size: bytes.length,
});
const layerBlob = describeBlob(layer, mediaTypes.ociLayerGzip);
const configBlob = describeBlob(config, mediaTypes.ociConfig);

function raw(document: Readonly<Record<string, unknown>> & { readonly mediaType: string }): RawManifest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...document }, null, 1));
  return { digest: sha256(bytes), mediaType: document.mediaType, bytes };
}

const image = raw({ mediaType: mediaTypes.ociManifest, config: configBlob, layers: [layerBlob] });
const entryOf = ({ digest, mediaType, bytes }: RawManifest, more: object = {}): object => ({
  mediaType,
  digest,
  size: bytes.length,
  ...more,
});
const index = raw({
  mediaType: mediaTypes.ociIndex,
  manifests: [entryOf(image, { platform: { os: "linux", architecture: "amd64" } })],
});

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
}

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

async function fill(
  target: ImageTarget,
  manifests: readonly (readonly [RawManifest, string?])[],
): Promise<void> {
  await using open = target;
  for (const [blob, bytes] of [
    [configBlob, config],
    [layerBlob, layer],
  ] as const)
    if (!(await open.hasBlob(blob))) await open.putBlob(blob, { open: () => pieces(bytes) });
  for (const [manifest, tag] of manifests) await open.putManifest(manifest, tag);
}

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return error instanceof GantryError ? `${error.code}: ${error.message}` : `not ours: ${String(error)}`;
  }
  return "no error";
}

async function expectImage(source: ImageSource): Promise<void> {
  const manifest = await source.manifest(image.digest);
  expect(Buffer.from(manifest.bytes)).toEqual(Buffer.from(image.bytes));
  expect(await bytesOf(source.blob(layerBlob))).toEqual(layer);
  expect(await bytesOf(source.blob(layerBlob, { offset: 5 }))).toEqual(layer.subarray(5));
  expect(await bytesOf(source.blob(configBlob))).toEqual(config);
}

describe("what is written is read again", () => {
  test("a directory: names, an index, an untagged image, a name that moves", async () => {
    const path = `${dir}/layout`;
    await fill(await createLayout(path), [[image], [index, "1.0"]]);
    await fill(await createLayout(path), [[image, "other"]]);
    await fill(await createLayout(path), [
      [image, "1.0"],
      [index, "moved"],
    ]);
    await using source = await openLayout(path, "1.0");
    expect((await source.manifest()).digest).toBe(image.digest);
    expect(await source.tags()).toEqual(["1.0", "moved", "other"]);
    await expectImage(source);
    await using byDigest = await openLayout(path, index.digest);
    expect((await byDigest.manifest()).digest).toBe(index.digest);
    expect(await failure(openLayout(path))).toStartWith("invalid: ");
    expect(await failure(openLayout(path, "none"))).toStartWith('not-found: no image "none"');
    expect(fs.readdirSync(path).sort()).toEqual(["blobs", "index.json", "oci-layout"]);
  });

  test.each(["plain", "gzip", "zstd"])("a tar, %s", async (form) => {
    const path = `${dir}/${form}.tar`;
    await fill(await createLayoutArchive(path), [[image], [index, "x"]]);
    if (form === "gzip") fs.writeFileSync(path, gzipSync(fs.readFileSync(path)));
    if (form === "zstd") fs.writeFileSync(path, zstdCompressSync(fs.readFileSync(path)));
    await using source = await openLayoutArchive(path);
    expect((await source.manifest()).digest).toBe(index.digest);
    await expectImage(source);
  });

  test("a docker-archive: layers are plain, the config stays as it is", async () => {
    const path = `${dir}/docker.tar`;
    await fill(await createDockerArchive(path, "a/b:1"), [[image]]);
    await using source = await openDockerArchive(path, "a/b:1");
    const { bytes, mediaType } = await source.manifest();
    const manifest = parseManifest(bytes, mediaType);
    if (manifest.kind !== "image") throw new Error("no image");
    expect(manifest.config).toEqual(configBlob);
    expect(manifest.layers).toEqual([describeBlob(layerTar, mediaTypes.ociLayer)]);
    expect(await bytesOf(source.blob(manifest.layers[0] ?? layerBlob))).toEqual(layerTar);
    expect(await source.tags()).toEqual(["a/b:1"]);
    expect(await failure(openDockerArchive(path, "a/c"))).toStartWith("not-found: no image a/c:latest");
  });

  test("nothing appears of what failed", async () => {
    const before = fs.readdirSync(dir);
    for (const target of [
      await createLayoutArchive(`${dir}/broken.tar`),
      await createDockerArchive(`${dir}/b.tar`),
    ]) {
      await using open = target;
      const wrong = { open: () => pieces(Buffer.from(layer).fill(1, 20, 30)) };
      expect(await failure(open.putBlob(layerBlob, wrong))).toStartWith("corrupt: ");
      expect(await failure(open.putManifest(image))).toStartWith("not-found: ");
    }
    await using layout = await createLayout(`${dir}/partial`);
    const short = { open: () => pieces(layer.subarray(1)) };
    expect(await failure(layout.putBlob(layerBlob, short))).toStartWith("corrupt: ");
    expect(fs.readdirSync(`${dir}/partial/blobs/sha256`)).toEqual([]);
    fs.rmSync(`${dir}/partial`, { recursive: true });
    expect(fs.readdirSync(dir)).toEqual(before);
  });
});

describe("a hostile layout", () => {
  const path = `${dir}/hostile`;
  const blob = (digest: Digest): string => `${path}/${blobPath(digest)}`;
  beforeAll(async () => fill(await createLayout(path), [[image], [index, "x"]]));

  const cases: Readonly<Record<string, readonly [spoil: () => void, error: RegExp]>> = {
    "a blob that is a link": [
      () => {
        fs.rmSync(blob(image.digest));
        fs.symlinkSync("/etc/passwd", blob(image.digest));
      },
      /^corrupt: .*not a regular file/,
    ],
    "a directory that is a link": [
      () => {
        fs.renameSync(`${path}/blobs/sha256`, `${path}/elsewhere`);
        fs.symlinkSync("../elsewhere", `${path}/blobs/sha256`);
      },
      /^corrupt: .*not a directory/,
    ],
    "a fifo": [
      () => {
        fs.rmSync(blob(image.digest));
        Bun.spawnSync(["mkfifo", blob(image.digest)]);
      },
      /^corrupt: .*not a regular file/,
    ],
    "a manifest of other bytes": [() => fs.writeFileSync(blob(image.digest), "{}"), /^corrupt: .*has digest/],
    "no oci-layout": [() => fs.rmSync(`${path}/oci-layout`), /^not-found: /],
    "another version": [
      () => fs.writeFileSync(`${path}/oci-layout`, '{"imageLayoutVersion":"2.0.0"}'),
      /^unsupported: .*2\.0\.0/,
    ],
    "an index that is none": [() => fs.writeFileSync(`${path}/index.json`, "[]"), /^corrupt: /],
    "a digest with a path in it": [
      () =>
        fs.writeFileSync(
          `${path}/index.json`,
          JSON.stringify({
            schemaVersion: 2,
            manifests: [{ mediaType: mediaTypes.ociManifest, digest: "sha256:../../../etc/passwd", size: 1 }],
          }),
        ),
      /^corrupt: .*digest/,
    ],
    "a giant index": [
      () => fs.writeFileSync(`${path}/index.json`, Buffer.alloc((4 << 20) + 1, 0x20)),
      /^corrupt: .*larger/,
    ],
  };

  test.each(Object.entries(cases))("%s", async (_name, [spoil, error]) => {
    fs.cpSync(path, `${dir}/kept`, { recursive: true });
    try {
      spoil();
      const read = async (): Promise<void> => {
        await using source = await openLayout(path);
        await source.manifest(image.digest);
      };
      expect(await failure(read())).toMatch(error);
    } finally {
      fs.rmSync(path, { recursive: true });
      fs.renameSync(`${dir}/kept`, path);
    }
  });

  test("a link in a tar", async () => {
    const file = `${dir}/links.tar`;
    const link = tarHeader({ path: blobPath(image.digest), type: "symlink", linkPath: "/etc/passwd" });
    const index = JSON.stringify({ schemaVersion: 2, manifests: [entryOf(image)] });
    const files = { "oci-layout": '{"imageLayoutVersion":"1.0.0"}', "index.json": index };
    fs.writeFileSync(file, Buffer.concat([link, tar(files)]));
    await using source = await openLayoutArchive(file);
    expect(await failure(source.manifest())).toMatch(/^corrupt: .*is a link/);
    fs.writeFileSync(file, tar({ ...files, [`./${blobPath(image.digest)}`]: image.bytes }));
    await using again = await openLayoutArchive(file);
    expect((await again.manifest()).digest).toBe(image.digest);
  });
});
