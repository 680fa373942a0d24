/** What `compress` makes, read by skopeo and umoci: several deflate blocks in one member, several frames of zstd. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import { compress, mediaTypes } from "../../src/image/index.ts";
import { sha256 } from "../../src/lib/index.ts";
import { bytesOf, sh, stream, tarOf } from "../system/image-fixture.ts";

setDefaultTimeout(60_000);

let dir = "";
let tar: Buffer;
beforeAll(() => {
  dir = fs.mkdtempSync("/tmp/gantry-compressed-");
  // Five blocks of gzip, three of zstd.
  tar = tarOf("seq 1 300000 >numbers; head -c 2500000 /dev/urandom >noise; printf x >small");
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

/** An OCI layout of one image with one layer. */
async function layout(kind: "gzip" | "zstd"): Promise<string> {
  const root = `${dir}/${kind}`;
  fs.mkdirSync(`${root}/blobs/sha256`, { recursive: true });
  const put = (mediaType: string, bytes: Buffer): object => {
    const digest = sha256(bytes);
    fs.writeFileSync(`${root}/blobs/sha256/${digest.slice(7)}`, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const layer = put(
    kind === "gzip" ? mediaTypes.ociLayerGzip : mediaTypes.ociLayerZstd,
    await bytesOf(compress(stream(tar), kind)),
  );
  const rootfs = { type: "layers", diff_ids: [sha256(tar)] };
  const config = put(mediaTypes.ociConfig, json({ architecture: "amd64", os: "linux", config: {}, rootfs }));
  const manifest = put(
    mediaTypes.ociManifest,
    json({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] }),
  );
  const annotations = { "org.opencontainers.image.ref.name": "x" };
  fs.writeFileSync(
    `${root}/index.json`,
    json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  fs.writeFileSync(`${root}/oci-layout`, json({ imageLayoutVersion: "1.0.0" }));
  return root;
}

test.skipIf(Bun.which("skopeo") === null).each(["gzip", "zstd"] as const)("skopeo: %s", async (kind) => {
  const root = await layout(kind);
  sh(dir, `skopeo copy --insecure-policy --dest-decompress oci:${root}:x dir:out-${kind} >/dev/null`);
  const files = fs.readdirSync(`${dir}/out-${kind}`);
  const layer = files.find(
    (name) => /^[0-9a-f]{64}$/.test(name) && fs.statSync(`${dir}/out-${kind}/${name}`).size === tar.length,
  );
  expect(sha256(fs.readFileSync(`${dir}/out-${kind}/${layer}`))).toBe(sha256(tar));
});

test.skipIf(Bun.which("umoci") === null)("umoci: gzip", async () => {
  const root = await layout("gzip");
  sh(dir, `umoci unpack --image ${root}:x bundle`);
  expect(sh(dir, "tail -1 bundle/rootfs/numbers; cat bundle/rootfs/small").toString()).toBe("300000\nx");
});
