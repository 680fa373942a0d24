/** Layouts and archives beside skopeo and umoci: what we write they take, what they write comes back with the same digest. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import {
  childrenOf,
  createDockerArchive,
  createLayout,
  createLayoutArchive,
  type ImageSource,
  type ImageTarget,
  openDockerArchive,
  openLayout,
  openLayoutArchive,
  parseManifest,
  parseReference,
} from "../../src/image/index.ts";
import type { Digest } from "../../src/lib/index.ts";
import { openFixture, sh, stream, tarOf } from "./image-fixture.ts";

setDefaultTimeout(60_000);

const dir = fs.mkdtempSync("/tmp/gantry-image-layout-");
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));
const hasPeers = Bun.which("skopeo") !== null && Bun.which("umoci") !== null;

/** What copyImage of the distribution room does, at its simplest. */
async function copy(opened: Promise<ImageSource>, made: Promise<ImageTarget>, tag?: string): Promise<Digest> {
  await using source = await opened;
  await using target = await made;
  const raw = await source.manifest();
  for (const blob of childrenOf(parseManifest(raw.bytes, raw.mediaType)))
    await target.putBlob(blob, { open: (offset) => source.blob(blob, { offset }) });
  await target.putManifest(raw, tag);
  return raw.digest;
}

test.skipIf(!hasPeers)("out to skopeo and umoci, and in again", async () => {
  await using at = openFixture();
  const { store } = at;
  const script =
    "mkdir -p etc bin; printf x >etc/a; ln -s a etc/b; chmod 1777 bin; setfattr -n user.k -v v etc/a";
  const image = await store.importTar(stream(tarOf(script)), { reference: "own:1" });
  const digest = await copy(store.source("own:1"), createLayout(`${dir}/ours`), "1");
  expect(await copy(store.source("own:1"), createLayoutArchive(`${dir}/ours.tar`), "1")).toBe(digest);
  await copy(store.source("own:1"), createDockerArchive(`${dir}/docker.tar`, "own:1"));

  const digestOf = (where: string): string =>
    sh(dir, `skopeo inspect --format '{{.Digest}}' ${where}`).toString().trim();
  expect(digestOf("oci:ours:1")).toBe(digest);
  expect(digestOf("oci-archive:ours.tar:1")).toBe(digest);
  sh(
    dir,
    "skopeo copy -q docker-archive:docker.tar:own:1 oci:theirs:1 && skopeo copy -q oci:ours:1 docker-archive:again.tar:own:2",
  );
  sh(dir, "umoci unpack --image ours:1 bundle && test $(cat bundle/rootfs/etc/b) = x");
  sh(
    dir,
    "umoci insert --image theirs:1 --tag 2 /etc/hostname /etc/hostname && skopeo copy -q oci:theirs:2 oci-archive:theirs.tar:2",
  );

  const pull = async (source: Promise<ImageSource>, name: string): Promise<Digest> => {
    await using opened = await source;
    return (await store.pull({ source: opened, reference: parseReference(name) })).id;
  };
  // skopeo writes the config anew when it goes from one format to the other; the layers are ours.
  for (const id of [
    await pull(openLayout(`${dir}/theirs`, "1"), "theirs:1"),
    await pull(openDockerArchive(`${dir}/again.tar`), "again:2"),
  ])
    expect(store.find(id).config.rootfs).toEqual(image.config.rootfs);
  const two = await pull(openLayoutArchive(`${dir}/theirs.tar`, "2"), "theirs:2");
  expect(fs.readdirSync(store.find(two).lowers[0] ?? "")).toEqual(["etc"]);
  // What umoci and skopeo have made leaves with the digest that it came with.
  const came = digestOf("oci-archive:theirs.tar:2");
  expect(await copy(store.source("theirs:2"), createLayout(`${dir}/out`), "x")).toBe(came as Digest);
  expect(digestOf("oci:out:x")).toBe(came);
  expect(await copy(store.source("theirs:2"), createLayoutArchive(`${dir}/out.tar`), "x")).toBe(
    came as Digest,
  );
  expect((await store.verify()).damaged).toEqual([]);
  // By load as well.
  await store.remove(two, { force: true, noPrune: false, usedBy: () => undefined });
  const [loaded] = await store.load(stream(fs.readFileSync(`${dir}/theirs.tar`)));
  expect(loaded?.id).toBe(two);
  expect(await copy(store.source(two), createLayout(`${dir}/out2`), "x")).toBe(came as Digest);
});
