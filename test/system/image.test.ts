/** Images on a real kernel: needs root. Archives are made by GNU tar, and read by it and by skopeo. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { bootstrap } from "../../src/image/index.ts";
import { type Digest, sha256 } from "../../src/lib/index.ts";
import { bytesOf, openFixture, sh, stream, tarOf, leftovers } from "./image-fixture.ts";

// Disk and processors are shared with whatever else runs here.
setDefaultTimeout(60_000);

const unused = { force: false, noPrune: false, usedBy: () => undefined };

/** The file capability cap_net_raw=ep, as the kernel keeps it: version 2, then permitted and inheritable bits. */
const netRaw = "0100000200200000000000000000000000000000";

const everything = `
  mkdir -p bin etc/deep tmp dev; chmod 1777 tmp; chmod 700 .
  printf '#!/bin/sh\\n' >bin/tool; chown 12:34 bin/tool; chmod 4755 bin/tool; touch -d '2020-01-02 03:04:05.678' bin/tool
  ln bin/tool bin/again; ln -s ../etc bin/link; ln -s /etc/passwd etc/absolute; printf x:0 >etc/passwd
  mknod dev/null c 1 3; mknod dev/loop b 7 0; mkfifo dev/pipe; touch 'etc/grüße =%'
  truncate -s 300000 etc/sparse; printf mid | dd of=etc/sparse bs=1 seek=150000 conv=notrunc status=none
  setfattr -n user.k -v 0x0076 etc/passwd; setfattr -n security.capability -v 0x${netRaw} bin/tool
  chown -h 7:8 bin/link; touch -h -d @1000000 bin/link; touch -d @2000000 etc`;

describe("import and save", () => {
  test.each(["plain", "gzip", "zstd"])(
    "%s: every kind of file comes out as it went in, and again after load",
    async (form) => {
      await using at = openFixture();
      const tar = tarOf(everything, "-S");
      const input = form === "gzip" ? gzipSync(tar) : form === "zstd" ? zstdCompressSync(tar) : tar;
      const image = await at.store.importTar(stream(input, 7000), {
        reference: "every:1",
        config: { Cmd: ["sh"] },
        message: "m",
      });
      expect(image).toMatchObject({
        repoTags: ["every:1"],
        config: { config: { Cmd: ["sh"] }, os: "linux" },
      });
      const [lower = ""] = image.lowers;
      const stat = (path: string): fs.Stats => fs.lstatSync(`${lower}/${path}`);
      expect(stat("").mode & 0o7777).toBe(0o700);
      expect(stat("tmp").mode & 0o7777).toBe(0o1777);
      expect(stat("bin/tool")).toMatchObject({ uid: 12, gid: 34, nlink: 2, ino: stat("bin/again").ino });
      expect(stat("bin/tool").mode & 0o7777).toBe(0o4755);
      expect(stat("bin/link")).toMatchObject({ uid: 7, gid: 8, mtimeMs: 1_000_000_000 });
      expect(stat("etc").mtimeMs).toBe(2_000_000_000);
      expect(stat("dev/null").rdev).toBe(0x103);
      expect(stat("dev/pipe").isFIFO()).toBe(true);
      expect(fs.readlinkSync(`${lower}/etc/absolute`)).toBe("/etc/passwd");
      expect(stat("etc/sparse")).toMatchObject({ size: 300_000 });
      // EROFS counts a file's blocks by its size.
      const shown = image.snapshotter === "erofs" ? stat("etc/sparse").size + 511 : 100 * 512;
      expect(stat("etc/sparse").blocks * 512).toBeLessThanOrEqual(shown);
      const capability = sh(lower, "getfattr --only-values -n security.capability bin/tool");
      expect(capability.toString("hex")).toBe(netRaw);
      expect(sh(lower, "getfattr --only-values -n user.k etc/passwd").toString()).toBe("\0v");

      const saved = await bytesOf(at.store.save(["every:1"]));
      const out = `${at.root}/out`;
      fs.mkdirSync(out);
      sh(out, "tar -xf -", saved);
      const [diffId = ""] = image.config.rootfs.diff_ids;
      const blob = `${out}/blobs/sha256/${diffId.slice(7)}`;
      expect(sha256(fs.readFileSync(blob))).toBe(diffId as Digest);
      // GNU tar finds no difference between our tar and the directory but the fractions of seconds, which it leaves out.
      expect(
        sh(lower, `tar --compare --numeric-owner -f ${blob} || true`)
          .toString()
          .replace(/.*: Mod time differs\n/g, ""),
      ).toBe("");

      await at.store.remove("every:1", unused);
      await at.store.idle();
      expect(leftovers(at)).toEqual([]);
      expect(await at.store.load(stream(gzipSync(saved)))).toEqual([
        { id: image.id, references: ["every:1"] },
      ]);
      // What gantry can make again is not kept twice.
      expect(leftovers(at)).toEqual([`layers/${diffId.slice(7)}`]);
      expect(await bytesOf(at.store.save(["every"]))).toEqual(saved);
    },
  );

  test("the same archive makes the same layer, however it was packed", async () => {
    await using at = openFixture();
    const script = "mkdir -p a/b; printf 1 >a/b/f; find . -exec touch -h -d @5000 {} +";
    const request = { created: "2024-01-01T00:00:00Z" };
    const first = await at.store.importTar(stream(tarOf(script)), request);
    const again = await at.store.importTar(stream(tarOf(script, "--format=gnu --no-xattrs")), request);
    expect(again.id).toBe(first.id);
  });

  test("two imports of one layer at once", async () => {
    await using at = openFixture();
    const tar = tarOf(everything);
    const images = await Promise.all(
      [1, 2, 3].map((n) =>
        at.store.importTar(stream(tar), { reference: `same:${n}`, created: "2024-01-01T00:00:00Z" }),
      ),
    );
    expect(new Set(images.map((image) => image.id)).size).toBe(1);
    expect(leftovers(at)).toHaveLength(1);
    expect(at.store.find("same:2").repoTags).toEqual(["same:1", "same:2", "same:3"]);
  });
});

describe("skopeo, an outside client", () => {
  const skopeo = Bun.which("skopeo");
  test.skipIf(skopeo === null)(
    "reads what save writes, in both formats, and load reads what it writes",
    async () => {
      await using at = openFixture();
      const base = await at.store.importTar(stream(tarOf(everything)), { reference: "base:1" });
      using hold = at.store.hold();
      const foreign = gzipSync(
        tarOf(
          "mkdir -p etc; printf new >etc/added; touch bin.wh; mkdir bin; touch bin/.wh.again",
          "--format=gnu --no-xattrs",
        ),
      );
      const layer = await at.store.applyLayer({
        source: stream(foreign),
        parent: base.chainId,
        digest: sha256(foreign),
        hold,
      });
      const image = await at.store.createImage({
        config: { Env: ["A=b"] },
        chainId: layer.chainId,
        history: [],
        created: "2024-01-01T00:00:00Z",
      });
      at.store.tag(image.id, "localhost:5000/two/layers:x");
      fs.writeFileSync(
        `${at.root}/saved.tar`,
        await bytesOf(at.store.save(["localhost:5000/two/layers:x", "base:1"])),
      );
      sh(at.root, "mkdir layout && tar -C layout -xf saved.tar");
      const archive = "docker-archive:saved.tar:localhost:5000/two/layers:x";
      const inspected = JSON.parse(sh(at.root, `skopeo inspect --config ${archive}`).toString()) as {
        rootfs: { diff_ids: string[] };
      };
      expect(inspected.rootfs.diff_ids).toEqual([...image.config.rootfs.diff_ids]);
      // skopeo verifies every digest while it copies.
      sh(
        at.root,
        `skopeo copy ${archive} oci:oci:two && skopeo copy oci:layout:x oci:oci2:two && tar -C oci2 -cf oci.tar .`,
      );
      sh(at.root, "skopeo copy oci:layout:x docker-archive:docker.tar:renamed:1");
      expect(JSON.parse(fs.readFileSync(`${at.root}/oci/index.json`, "utf8"))).toMatchObject({
        schemaVersion: 2,
      });

      const docker = await at.store.load(Bun.file(`${at.root}/docker.tar`).stream());
      expect(docker).toEqual([{ id: image.id, references: ["renamed:1"] }]);
      await using other = openFixture();
      const loaded = await other.store.load(Bun.file(`${at.root}/oci.tar`).stream());
      expect(loaded).toEqual([{ id: image.id, references: [] }]);
      const listed = await other.trees.list({ lowers: other.store.find(image.id).lowers }, "/bin", {
        recursive: true,
      });
      expect(listed?.map((entry) => entry.path)).toEqual(["", "link", "tool"]);
      fs.writeFileSync(`${other.root}/again.tar`, await bytesOf(other.store.save([image.id])));
      sh(other.root, "skopeo copy docker-archive:again.tar oci:again:x");
    },
    60_000,
  );
});

describe("layers", () => {
  const layerOf = async (
    at: ReturnType<typeof openFixture>,
    parent: Digest | undefined,
    tar: Buffer,
    hold = at.store.hold(),
  ): Promise<Digest> => (await at.store.applyLayer({ source: stream(tar), parent, hold })).chainId;

  test("whiteouts, opaque directories, and directories that the archive does not describe", async () => {
    await using at = openFixture();
    const one = await layerOf(
      at,
      undefined,
      tarOf(
        "mkdir -p a/in b/x c; touch a/one a/two b/x/old c/f; chmod 711 a/in; chown 5:6 a/in; chmod 750 .; touch -d @77 a/in",
      ),
    );
    const tar = sh(
      "/tmp",
      `d=$(mktemp -d); cd $d; mkdir -p a/in b/x; touch a/in/new a/.wh.one b/x/.wh..wh..opq b/x/new .wh.c; tar -c a/in/new a/.wh.one b/x b/x/.wh..wh..opq b/x/new .wh.c; rm -r $d`,
    );
    const two = await layerOf(at, one, tar);
    const listed = await at.trees.list({ lowers: at.store.lowers(two) }, "/", { recursive: true });
    expect(listed?.map((entry) => entry.path)).toEqual([
      "",
      "a",
      "a/in",
      "a/in/new",
      "a/two",
      "b",
      "b/x",
      "b/x/new",
    ]);
    expect(listed?.find((entry) => entry.path === "a/in")).toMatchObject({
      mode: 0o711,
      uid: 5,
      gid: 6,
      mtimeNs: "77000000000",
    });
    expect(listed?.[0]).toMatchObject({ mode: 0o750 });
    const files = await Promise.all(
      ["a/one", "b/x/old", "c/f", "a/two", "a/in/new"].map((path) =>
        at.trees.readFile({ lowers: at.store.lowers(two) }, path, 10),
      ),
    );
    expect(files.map((file) => file?.length)).toEqual([undefined, undefined, undefined, 0, 0]);
  });

  test("an upper directory becomes a layer: changes, deletions, replaced directories; stubs and nothing are no change", async () => {
    await using at = openFixture();
    const base = await at.store.importTar(
      stream(
        tarOf(
          "mkdir -p etc keep/sub dev; printf 1 >etc/a; printf 2 >etc/b; touch keep/sub/f; ln etc/a etc/hard",
        ),
      ),
      { reference: "base" },
    );
    using hold = at.store.hold();
    const change = async (script: string, stubs: string[] = []): Promise<Digest | undefined> => {
      const dir = at.store.temporaryPath("test");
      sh(at.root, `mkdir -p ${dir}/u ${dir}/w ${dir}/m; chmod 755 ${dir}/u`);
      sh(
        at.root,
        `unshare -m sh -ec 'mount -t overlay overlay -o lowerdir=${base.lowers.join(":")},upperdir=${dir}/u,workdir=${dir}/w ${dir}/m; cd ${dir}/m; ${script}'`,
      );
      return (await at.store.diffLayer({ upper: `${dir}/u`, parent: base.chainId, hold, stubs }))?.chainId;
    };
    expect(await change("true")).toBeUndefined();
    expect(await change("touch x; rm x")).toBeUndefined();
    expect(
      await change("touch etc/hosts etc/resolv.conf; mkdir dev/pts", [
        "etc/hosts",
        "/etc/resolv.conf",
        "dev/pts",
        "../x",
      ]),
    ).toBeUndefined();
    const changed = await change(
      "rm etc/b; printf 3 >>etc/a; rm -r keep/sub; mkdir keep/sub; touch keep/sub/new; printf h >etc/hosts",
      ["etc/hosts"],
    );
    const lowers = at.store.lowers(changed);
    const listed = await at.trees.list({ lowers }, "/", { recursive: true });
    expect(listed?.map((entry) => entry.path)).toEqual([
      "",
      "dev",
      "etc",
      "etc/a",
      "etc/hard",
      "etc/hosts",
      "keep",
      "keep/sub",
      "keep/sub/new",
    ]);
    expect(Buffer.from((await at.trees.readFile({ lowers }, "/etc/a", 10)) ?? []).toString()).toBe("13");
    const image = await at.store.createImage({ config: {}, chainId: changed, history: [], parent: base.id });
    // Through an archive the layer comes out the same.
    const saved = await bytesOf(at.store.save([image.id]));
    await using other = openFixture();
    const [loaded] = await other.store.load(stream(saved));
    const again = await other.trees.list({ lowers: other.store.find(loaded?.id ?? "").lowers }, "/", {
      recursive: true,
    });
    expect(again?.map((entry) => entry.path)).toEqual(listed?.map((entry) => entry.path) ?? []);
    expect(await change("chmod 700 .")).not.toBeUndefined();
  });

  test("what a hold lets go of and nothing needs is deleted; what an image needs stays", async () => {
    await using at = openFixture();
    const hold = at.store.hold();
    const one = await layerOf(at, undefined, tarOf("touch 1"), hold);
    await at.store.createImage({ config: {}, chainId: one, history: [] });
    const two = await layerOf(at, one, tarOf("touch 2"), hold);
    hold.release();
    hold.release();
    await at.store.idle();
    expect(() => at.store.layer(two)).toThrow("no such layer");
    expect(at.store.layer(one).size).toBe(0);
    expect(leftovers(at).filter((name) => name.startsWith("layers"))).toHaveLength(1);
    const { removed } = await at.store.prune({ dangling: true, usedBy: () => undefined });
    expect(removed).toHaveLength(2);
    await at.store.idle();
    expect(leftovers(at)).toEqual([]);
  });
});

test("bootstrap busybox: a whole small system, the same each time", async () => {
  await using at = openFixture();
  const lines: string[] = [];
  const image = await bootstrap("busybox", at.store, { onLine: (line) => lines.push(line) });
  expect(image).toMatchObject({ repoTags: ["busybox:latest"], config: { config: { Cmd: ["sh"] } } });
  expect(lines.length).toBeGreaterThan(0);
  expect((await bootstrap("busybox", at.store, { reference: "again:1", onLine: () => undefined })).id).toBe(
    image.id,
  );
  const [lower = ""] = image.lowers;
  // Nothing is run from a layer itself.
  sh(at.root, `cp -a ${lower} tree`);
  expect(
    sh(
      at.root,
      `chroot tree /bin/sh -c 'id; stat -c %a /tmp /root; /usr/bin/env echo hi; ls /proc /dev | wc -l; nslookup 2>&1 | head -1'`,
    ).toString(),
  ).toMatch(/^uid=0\(root\) gid=0\(root\).*\n1777\n700\nhi\n/);
});
