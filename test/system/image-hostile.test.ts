/** Archives that want to harm: each is refused by name, and nothing is left. Needs root. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { sha256 } from "../../src/lib/index.ts";
import { failure, leftovers, openFixture, sh, stream, tarOf } from "./image-fixture.ts";

// Disk and processors are shared with whatever else runs here.
setDefaultTimeout(60_000);

const unused = { force: false, noPrune: false, usedBy: () => undefined };

describe("hostile archives", () => {
  const member = (transform: string): Buffer =>
    tarOf(
      "mkdir d; printf evil >d/victim",
      `--no-recursion -P --transform='${transform}' ./d ./d/victim --exclude=.`,
    );
  const raw = (...entries: Buffer[]): Buffer => Buffer.concat([...entries, Buffer.alloc(1024)]);
  const entry = (
    name: string,
    type: string,
    link = "",
    patch: (block: Buffer) => void = () => undefined,
  ): Buffer => {
    const block = Buffer.alloc(512);
    block.write(name, 0);
    for (const [value, at, length] of [
      ["644", 100, 8],
      ["0", 108, 8],
      ["0", 116, 8],
      ["0", 124, 12],
      ["0", 136, 12],
    ] as const) {
      block.write(value.padStart(length - 1, "0"), at);
    }
    block.write(type, 156);
    block.write(link, 157);
    block.write("ustar\x0000", 257);
    patch(block);
    block.fill(" ", 148, 156);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    return block;
  };
  const outside = "/tmp/gantry-image-outside";
  const good = tarOf("head -c 300000 /dev/urandom >file");

  test.each<[string, Buffer, string]>([
    [
      "..",
      member("s,^./d/victim,../../victim,"),
      'corrupt: entry "../../victim" of the archive leads outside of it',
    ],
    [".. in the middle", member("s,^./d/victim,d/../../victim,"), 'corrupt: entry "d/../../victim"'],
    [
      "an absolute path",
      member(`s,^./d/victim,${outside}/victim,`),
      `corrupt: entry "${outside}/victim" of the archive leads outside`,
    ],
    [
      "through an absolute link",
      raw(entry("l", "2", outside), entry("l/victim", "0")),
      'corrupt: entry "l/victim" of the archive leads outside of it through the link "l"',
    ],
    [
      "through a climbing link",
      raw(entry("d", "5"), entry("d/l", "2", `../..${outside}`), entry("d/l/x/victim", "0")),
      'corrupt: entry "d/l/x/victim" of the archive leads outside of it through the link "d/l"',
    ],
    [
      "through a chain of links",
      raw(entry("a", "2", "b"), entry("b", "2", "/etc"), entry("a/victim", "0")),
      'corrupt: entry "a/victim"',
    ],
    [
      "a hard link to the outside",
      raw(entry("h", "1", "../../etc/passwd")),
      'corrupt: entry "../../etc/passwd" of the archive leads outside',
    ],
    [
      "a hard link to what is not there",
      raw(entry("h", "1", "etc/passwd")),
      'corrupt: hard link "h" to "etc/passwd", which is not in the archive',
    ],
    ["a whiteout of ..", raw(entry("d/.wh...", "0")), 'corrupt: invalid whiteout ".wh..."'],
    ["a root that is a file", raw(entry(".", "0")), "corrupt: the archive's root is not a directory"],
    [
      "a root that is a link",
      raw(entry("./", "2", "/etc")),
      "corrupt: the archive's root is not a directory",
    ],
    [
      "a name that is too long",
      raw(entry(`${"n".repeat(90)}`, "0", "", (block) => block.write("p/".repeat(77), 345))),
      "no error",
    ],
    [
      "a component that is too long",
      tarOf("touch f", `--transform='s,^./f,${"c".repeat(300)},'`),
      "corrupt: unpack",
    ],
    [
      "an immense file",
      raw(entry("huge", "0", "", (block) => block.write("77777777777\0", 124))),
      "corrupt: the archive is truncated",
    ],
    [
      "a file larger than the disk",
      raw(
        entry("huge", "0", "", (block) =>
          block.write(Buffer.from("800000000001000000000000", "hex").toString("latin1"), 124, "latin1"),
        ),
      ),
      'exhausted: no space left on device: unpack "huge"',
    ],
    ["truncated", good.subarray(0, 150_000), "corrupt: the archive is truncated"],
    ["truncated between entries", good.subarray(0, 1024), "corrupt: the archive is truncated"],
    ["truncated gzip", gzipSync(good).subarray(0, 150_000), "corrupt: the gzip data is damaged or truncated"],
    [
      "damaged gzip",
      (() => {
        const bad = gzipSync(good);
        bad[bad.length - 6] = (bad[bad.length - 6] ?? 0) ^ 1;
        return bad;
      })(),
      "corrupt: the gzip data is damaged",
    ],
    ["truncated zstd", zstdCompressSync(good).subarray(0, 150_000), "corrupt: the archive is truncated"],
    ["empty", Buffer.alloc(0), "corrupt: the archive is truncated"],
    ["no archive", Buffer.from("hello, world\n".repeat(100)), "corrupt: "],
    [
      "xz",
      Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0]),
      "unsupported: the archive is compressed with xz",
    ],
  ])("%s", async (_, archive, message) => {
    await using at = openFixture();
    fs.mkdirSync(outside, { recursive: true });
    const result = await failure(at.store.importTar(stream(archive), { reference: "evil" }));
    expect(result).toStartWith(message);
    expect(fs.readdirSync(outside)).toEqual([]);
    fs.rmSync(outside, { recursive: true });
    await at.store.idle();
    if (message === "no error") return;
    expect(leftovers(at)).toEqual([]);
    expect(at.store.list()).toEqual([]);
  });

  test("devices and fifos are made and never opened; a later entry of the same name replaces them", async () => {
    await using at = openFixture();
    const device = (block: Buffer): void => void block.write("0000001\x000000003\0", 329);
    const archive = raw(
      entry("null", "3", "", device),
      entry("null", "0"),
      entry("pipe", "6"),
      entry("pipe", "0"),
      entry("d", "5"),
      entry("d/f", "0"),
      entry("d", "0"),
      entry("pipe", "5"),
    );
    const { lowers } = await at.store.importTar(stream(archive), {});
    const [lower = ""] = lowers;
    expect(["null", "d", "pipe"].map((name) => fs.lstatSync(`${lower}/${name}`).isFile())).toEqual([
      true,
      true,
      false,
    ]);
  });

  test("an archive that ends in 100 million zeros, compressed to nothing", async () => {
    await using at = openFixture();
    const bomb = zstdCompressSync(Buffer.concat([raw(entry("f", "0")), Buffer.alloc(100_000_000)]));
    expect(bomb.length).toBeLessThan(20_000);
    expect(await failure(at.store.importTar(stream(bomb), {}))).toContain("too much data after the end");
    expect(leftovers(at)).toEqual([]);
  });

  test("wrong digests", async () => {
    await using at = openFixture();
    using hold = at.store.hold();
    const wrong = sha256("other");
    expect(await failure(at.store.applyLayer({ source: stream(good), digest: wrong, hold }))).toBe(
      `corrupt: the layer has digest ${sha256(good)}, expected ${wrong}`,
    );
    expect(await failure(at.store.applyLayer({ source: stream(gzipSync(good)), diffId: wrong, hold }))).toBe(
      `corrupt: the layer has digest ${sha256(good)}, expected ${wrong}`,
    );
    await at.store.idle();
    expect(leftovers(at)).toEqual([]);
  });
});

describe("hostile archives of images", () => {
  const config = Buffer.from(JSON.stringify({ os: "linux", rootfs: { diff_ids: [sha256("x")] } }));
  const archive = (
    files: Readonly<Record<string, string | Buffer>>,
    links: Readonly<Record<string, string>> = {},
  ): Buffer => {
    const dir = fs.mkdtempSync("/tmp/gantry-image-arc-");
    for (const [name, content] of Object.entries(files)) {
      sh(dir, `mkdir -p "$(dirname ${name})"`);
      fs.writeFileSync(`${dir}/${name}`, content);
    }
    for (const [name, target] of Object.entries(links)) fs.symlinkSync(target, `${dir}/${name}`);
    const tar = sh(dir, "tar -c *");
    fs.rmSync(dir, { recursive: true });
    return tar;
  };
  const manifest = (item: object): string => JSON.stringify([item]);
  const layer = tarOf("touch f");
  const digestPath = (bytes: Buffer | string): string => `blobs/sha256/${sha256(bytes).slice(7)}`;
  const index = (digest: string): string =>
    JSON.stringify({ manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest }] });

  test.each<[string, Buffer, string]>([
    [
      "neither manifest nor index",
      archive({ a: "b" }),
      "corrupt: the archive holds neither manifest.json nor index.json",
    ],
    ["a root file system", layer, "corrupt: the archive holds neither manifest.json nor index.json"],
    [
      "a manifest that is no JSON",
      archive({ "manifest.json": "{" }),
      "corrupt: manifest.json is not valid JSON",
    ],
    [
      "a config that is not there",
      archive({ "manifest.json": manifest({ Config: "../../etc/passwd", Layers: [] }) }),
      'corrupt: the archive lacks "../../etc/passwd"',
    ],
    [
      "a config that is a link to the outside",
      archive({ "manifest.json": manifest({ Config: "c", Layers: [] }) }, { c: "/etc/passwd" }),
      'corrupt: the archive lacks "c"',
    ],
    [
      "links in a ring",
      archive({ "manifest.json": manifest({ Config: "a", Layers: [] }) }, { a: "b", b: "a" }),
      'corrupt: the archive lacks "a"',
    ],
    [
      "fewer layers than the config names",
      archive({ "manifest.json": manifest({ Config: "c", Layers: [] }), c: config }),
      "corrupt: the image config names 1 layers, the archive has 0",
    ],
    [
      "a layer with another digest",
      archive({ "manifest.json": manifest({ Config: "c", Layers: ["l"] }), c: config, l: layer }),
      `corrupt: the layer has digest ${sha256(layer)}`,
    ],
    [
      "a name that is none",
      archive({ "manifest.json": manifest({ Config: "c", Layers: [], RepoTags: ["A B"] }), c: "{}" }),
      "invalid: invalid reference format",
    ],
    [
      "a bad digest in an index",
      archive({ "index.json": index("sha256:../../../etc/passwd") }),
      "corrupt: the OCI layout has an invalid digest",
    ],
    [
      "a blob that is not its name's",
      archive({ "index.json": index(sha256("a")), [digestPath("a")]: "b" }),
      `corrupt: ${digestPath("a")} in the archive has digest ${sha256("b")}`,
    ],
  ])("%s", async (_, bytes, message) => {
    await using at = openFixture();
    expect(await failure(at.store.load(stream(bytes)))).toStartWith(message);
    await at.store.idle();
    expect(leftovers(at)).toEqual([]);
    expect(at.store.list()).toEqual([]);
  });

  test("old archives name a layer's file by a link, and an index may hold other machines' images", async () => {
    await using at = openFixture();
    const wanted = Buffer.from(
      JSON.stringify({ os: "linux", rootfs: { diff_ids: [sha256(layer), sha256(layer)] } }),
    );
    const docker = archive(
      {
        "manifest.json": manifest({
          Config: "c.json",
          RepoTags: ["old:1"],
          Layers: ["one/layer.tar", "two.tar"],
        }),
        "c.json": wanted,
        "one/layer.tar": layer,
      },
      { "two.tar": "one/layer.tar" },
    );
    expect(await at.store.load(stream(docker, 100))).toEqual([{ id: sha256(wanted), references: ["old:1"] }]);
    expect(leftovers(at).filter((name) => name.startsWith("layers"))).toHaveLength(2);
    await at.store.remove("old:1", unused);
    await at.store.idle();
    expect(leftovers(at)).toEqual([]);
    const other = JSON.stringify({
      manifests: [
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          digest: sha256("?"),
          platform: { os: "linux", architecture: "s390x" },
        },
      ],
    });
    expect(await failure(at.store.load(stream(archive({ "index.json": other }))))).toStartWith(
      "unsupported: the archive holds no image for linux/",
    );
  });
});
