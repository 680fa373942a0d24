/** The erofs snapshotter in a store: layers on layers, mounts that come and go, files that were damaged. */
import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { loadSys } from "../../src/kernel/index.ts";
import { tarHeader, tarTrailer } from "../../src/lib/index.ts";
import type { ImageStore, Layer } from "../../src/image/index.ts";
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

/** Skipped, in words, where the kernel cannot. */
const canErofs = ((): boolean => {
  const at = openFixture(undefined, "auto");
  const { name, reason } = at.store.snapshotter;
  sh("/", `rm -r ${at.root}`);
  if (name !== "erofs") process.stdout.write(`no EROFS layers here: ${reason}\n`);
  return name === "erofs";
})();

function open(root?: string): Fixture {
  return openFixture(root, "erofs");
}

async function layer(store: ImageStore, tar: Uint8Array, parent?: Layer): Promise<Layer> {
  const hold = store.hold();
  return store.applyLayer({ source: stream(tar), parent: parent?.chainId, hold });
}

const mounts = (root: string): string[] =>
  fs
    .readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .filter((line) => line.includes(` ${root}/lowers/`));

const fileOf = (root: string, { chainId }: Layer): string =>
  `${root}/layers/${chainId.slice(chainId.indexOf(":") + 1)}/layer.erofs`;

/** Runs a script in the overlay of a layer and all below it. */
function inOverlay(at: Fixture, top: Layer, script: string): string {
  const lowers = at.store.lowers(top.chainId);
  const dir = fs.mkdtempSync(`${at.root}/overlay-`);
  sh(dir, "mkdir upper work merged");
  const options = `lowerdir=${lowers.join(":")},upperdir=${dir}/upper,workdir=${dir}/work`;
  sh(dir, `mount -t overlay overlay -o ${options} merged`);
  try {
    return sh(`${dir}/merged`, script).toString();
  } finally {
    sh(dir, "umount merged");
    fs.rmSync(dir, { recursive: true });
  }
}

describe.skipIf(!canErofs)("layers on layers", () => {
  test("whiteouts, opaque directories and links hide what is below", async () => {
    await using at = open();
    const base = await layer(
      at.store,
      tarOf("mkdir -p keep gone opaque; touch keep/a keep/b gone/x opaque/old; echo 1 >f; ln f hard"),
    );
    const top = await layer(
      at.store,
      tarOf("mkdir keep opaque; touch keep/.wh.a .wh.gone opaque/.wh..wh..opq opaque/new; ln -s keep f"),
      base,
    );
    expect(inOverlay(at, top, "find . | sort; readlink f; cat hard")).toBe(
      "./f\n./hard\n./keep\n./keep/b\n./opaque\n./opaque/new\nkeep\n1\n".replace(/^/, ".\n"),
    );
    // Changes on top: copy up, rename of a lower directory, removal.
    expect(
      inOverlay(
        at,
        top,
        "echo 2 >>hard; mv opaque moved; rm keep/b; cat hard; ls keep moved; chmod 700 keep",
      ),
    ).toBe("1\n2\nkeep:\n\nmoved:\nnew\n");
  });

  test("directories that a layer does not describe are as those below, attributes and all", async () => {
    await using at = open();
    const base = await layer(
      at.store,
      tarOf(
        "mkdir -p plain listed; chown 7:8 plain; chmod 1770 plain .; touch -d @77 plain; setfattr -n system.posix_acl_access -v 0x0200000001000700ffffffff020007000500000004000500ffffffff10000700ffffffff20000500ffffffff listed",
      ),
    );
    const plain = tarOf("mkdir plain; touch plain/f", "--exclude=./plain/f/x");
    const files = sh(
      "/",
      "d=$(mktemp -d); cd $d; mkdir plain listed; touch plain/f listed/g; tar -c plain/f listed/g; rm -r $d",
    );
    expect(plain.length).toBeGreaterThan(0);
    const top = await layer(at.store, files, base);
    const [dir = ""] = at.store.lowers(top.chainId);
    expect(
      sh(
        dir,
        "stat -c '%a %u %g %Y' plain; stat -c %a .; getfattr --only-values -n system.posix_acl_access listed | xxd -p | head -c 15; stat -c ' %a' listed",
      ).toString(),
    ).toBe("1770 7 8 77\n1770\n020000000100070 775\n");
    expect(sh(dir, "ls plain listed").toString()).toBe("listed:\ng\n\nplain:\nf\n");
  });

  test("both kinds lie side by side in one chain", async () => {
    await using at = open();
    const base = await layer(at.store, tarOf("echo base >a; touch -d @5 a"));
    const asDirectories = openFixture(at.root, "overlay");
    const middle = await layer(asDirectories.store, tarOf("echo middle >b"), base);
    const top = await layer(at.store, tarOf("echo top >c; touch .wh.a"), middle);
    expect(at.store.layer(middle.chainId).dir).toEndWith("/fs");
    expect(inOverlay(at, top, "cat *")).toBe("middle\ntop\n");
  });

  test("what came goes out bit for bit, also what gantry would pack otherwise", async () => {
    await using at = open();
    const odd = tarOf("echo hi >f; truncate -s 5M sparse; ln f z", "-S --format=gnu --no-xattrs");
    const made = await layer(at.store, odd);
    const { id } = await at.store.createImage({ config: {}, chainId: made.chainId, history: [{}] });
    const saved = await bytesOf(at.store.save([id]));
    fs.writeFileSync(`${at.root}/saved.tar`, saved);
    sh(at.root, `tar -xf saved.tar blobs`);
    expect(fs.readFileSync(`${at.root}/blobs/sha256/${made.diffId.slice(7)}`).equals(odd)).toBe(true);
    const [dir = ""] = at.store.lowers(made.chainId);
    expect(sh(dir, "stat -c %s sparse; tr -d '\\0' <sparse | wc -c; stat -c %h z").toString()).toBe(
      "5242880\n0\n2\n",
    );
    // A hole of the file is one on the disk.
    expect(fs.statSync(fileOf(at.root, made)).blocks * 512).toBeLessThan(100_000);
  });
});

describe.skipIf(!canErofs)("sizes", () => {
  test("large files, large directories, many links", async () => {
    await using at = open();
    const tar = tarOf(
      "truncate -s 5G large; echo end >>large; mkdir many; seq 3000 | sed 's|^|many/a-rather-long-name-|' | xargs touch; mkdir l; echo x >l/0; for i in $(seq 300); do ln l/0 l/$i; done",
      "-S",
    );
    const made = await layer(at.store, tar);
    const [dir = ""] = at.store.lowers(made.chainId);
    expect(
      sh(
        dir,
        "stat -c %s large; tail -c 4 large; ls many | wc -l; stat -c %h l/7; ls -f many | sort -u | wc -l",
      ).toString(),
    ).toBe("5368709124\nend\n3000\n301\n3002\n");
    for (const i of [1, 777, 3000]) expect(fs.existsSync(`${dir}/many/a-rather-long-name-${i}`)).toBe(true);
    expect(fs.existsSync(`${dir}/many/a-rather-long-name-0`)).toBe(false);
  }, 50_000);

  test("a chain of 60 layers", async () => {
    await using at = open();
    let top: Layer | undefined;
    for (let i = 0; i < 60; i++)
      top = await layer(
        at.store,
        Buffer.concat([tarHeader({ path: `f${i}`, type: "file" }), tarTrailer]),
        top,
      );
    if (top === undefined) throw new Error("no layer");
    expect(at.store.lowers(top.chainId)).toHaveLength(60);
    expect(mounts(at.root)).toHaveLength(60);
    const root = { lowers: at.store.lowers(top.chainId) };
    expect(await at.trees.list(root, "/", { recursive: true })).toHaveLength(61);
  }, 50_000);
});

describe.skipIf(!canErofs)("mounts", () => {
  test("come when a layer is used, are found again, and go with the layer or the engine", async () => {
    await using at = open();
    const image = await at.store.importTar(stream(tarOf("echo 1 >f")), { reference: "x" });
    const other = await at.store.importTar(stream(tarOf("echo 2 >f")), { reference: "y" });
    expect(at.store.list()).toHaveLength(2);
    expect(mounts(at.root)).toEqual([]);
    expect(fs.readFileSync(`${image.lowers[0]}/f`, "utf8")).toBe("1\n");
    expect(other.lowers).toEqual(other.layerDirs);
    expect(mounts(at.root)).toHaveLength(2);
    // As after kill -9 of the engine.
    const { lowers } = image;
    const again = at.reopen();
    expect(again.store.find("x").lowers).toEqual(lowers);
    expect(mounts(at.root)).toHaveLength(2);
    again.store.unmount([image.id]);
    expect(mounts(at.root)).toHaveLength(1);
    await again.store.remove("x", { force: false, noPrune: false, usedBy: () => undefined });
    expect(mounts(at.root)).toEqual([]);
    again.store.unmount([]);
    expect(fs.readFileSync("/proc/self/mounts", "utf8")).not.toContain(at.root);
    await again.store.idle();
    expect(fs.readdirSync(`${at.root}/layers`)).toHaveLength(1);
  });

  test("an overlay keeps a layer that was unmounted", async () => {
    await using at = open();
    const made = await layer(at.store, tarOf("echo 1 >f"));
    const [dir = ""] = at.store.lowers(made.chainId);
    sh(at.root, `mkdir u w m; mount -t overlay o -o lowerdir=${dir},upperdir=u,workdir=w m`);
    at.store.unmount([]);
    expect(sh(at.root, "cat m/f; umount m").toString()).toBe("1\n");
  });

  test("nothing of them reaches a bind of the whole tree, or another mount namespace", async () => {
    await using at = open();
    const [first, second] = [
      await layer(at.store, tarOf("echo 1 >f")),
      await layer(at.store, tarOf("echo 2 >f")),
    ];
    at.store.lowers(first.chainId);
    const seen = `grep -c ' ${at.root}/b/lowers' /proc/self/mounts || true`;
    expect(sh(at.root, `mkdir b; mount --rbind . b; ${seen}; umount -R b`).toString()).toBe("0\n");
    // A namespace that follows the host's.
    const follower = Bun.spawn(["unshare", "-m", "--propagation", "slave", "sleep", "60"]);
    await Bun.sleep(100);
    at.store.lowers(second.chainId);
    expect(mounts(at.root)).toHaveLength(2);
    const theirs = fs.readFileSync(`/proc/${follower.pid}/mounts`, "utf8");
    follower.kill();
    await follower.exited;
    expect(theirs.split(` ${at.root}/lowers/`)).toHaveLength(2);
  });

  test("a file that was cut off or overwritten is told before anything is run from it", async () => {
    await using at = open();
    const short = await layer(at.store, tarOf("echo 1 >f"));
    const torn = await layer(at.store, tarOf("echo 2 >f"));
    fs.truncateSync(fileOf(at.root, short), 8192);
    const fd = fs.openSync(fileOf(at.root, torn), "r+");
    fs.writeSync(fd, Buffer.alloc(64, 7), 0, 64, 1024);
    fs.closeSync(fd);
    for (const { chainId } of [short, torn])
      expect(() => at.store.lowers(chainId)).toThrow(/^the layer file .* has been changed on disk$/);
    expect(mounts(at.root)).toEqual([]);
  });

  test("where the kernel cannot, directories are made, and it is said why", async () => {
    const root = fs.mkdtempSync("/tmp/gantry-image-");
    sh("/", `mount -t tmpfs -o size=64m tmpfs ${root}`);
    try {
      await using at = openFixture(root, "auto");
      expect(at.store.snapshotter).toMatchObject({
        name: "overlay",
        reason: expect.stringMatching(/^this kernel.*\((EINVAL|ENOTBLK)\)$/),
      });
      expect((await layer(at.store, tarOf("echo 1 >f"))).dir).toEndWith("/fs");
      expect(() => openFixture(root, "erofs")).toThrow("layers cannot be kept as EROFS files here");
    } finally {
      // The store that was refused has the database open.
      sh("/", `umount -l ${root}; rmdir ${root}`);
    }
  });
});

describe.skipIf(!canErofs)("faults", () => {
  test("a disk that is full, at any byte: nothing is left", async () => {
    const root = fs.mkdtempSync("/tmp/gantry-image-");
    const disk = `${root}.img`;
    sh("/", `truncate -s 40M ${disk}; mkfs.ext4 -q -m 0 ${disk}; mount -o loop ${disk} ${root}`);
    try {
      await using at = open(root);
      const before = await layer(at.store, tarOf("echo kept >f"));
      const tar = tarOf("for i in $(seq 9); do head -c 1M /dev/urandom >f$i; done");
      const { freeBytes } = loadSys().statfs(root);
      const refused: string[] = [];
      for (const left of [300_000, 5_000_000, 9_000_000]) {
        sh(root, `fallocate -l ${Number(freeBytes) - left} fill`);
        refused.push(await failure(layer(at.store, tar)));
        sh(root, "rm fill");
        await at.store.idle();
        expect(leftovers(at).filter((path) => path.startsWith("ingest"))).toEqual([]);
      }
      for (const words of refused) expect(words).toMatch(/^exhausted: no space left on device/);
      expect(fs.readFileSync(`${at.store.lowers(before.chainId)[0]}/f`, "utf8")).toBe("kept\n");
    } finally {
      sh("/", `umount ${root}; rmdir ${root}; rm ${disk}`);
    }
  });

  test("what two engines leave behind by kill -9 is gone at the next start", async () => {
    await using at = open();
    const script = `
      import { openFixture, stream, tarOf } from ${JSON.stringify(`${import.meta.dir}/image-fixture.ts`)};
      const at = openFixture(${JSON.stringify(at.root)}, "erofs");
      const image = await at.store.importTar(stream(tarOf("echo 1 >f")), { reference: "x" });
      image.lowers;
      const tar = tarOf("for i in $(seq 20); do head -c 100000 /dev/urandom >f$i; done");
      async function* slow() { yield tar.subarray(0, 1_000_000); console.log("fed"); await Bun.sleep(60_000); }
      await at.store.importTar(slow(), {});`;
    const engine = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    await engine.stdout.getReader().read();
    await Bun.sleep(100);
    engine.kill("SIGKILL");
    await engine.exited;
    const again = at.reopen();
    await again.store.idle();
    expect(leftovers(again).filter((path) => !path.startsWith("layers"))).toEqual([]);
    expect(mounts(at.root)).toHaveLength(1);
    expect(fs.readFileSync(`${again.store.find("x").lowers[0]}/f`, "utf8")).toBe("1\n");
  });
});
