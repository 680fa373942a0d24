/** The image room on a full disk, aborted, killed, tampered with. Needs root. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import { GantryError } from "../../src/lib/index.ts";
import { bytesOf, failure, leftovers, openFixture, sh, stream, tarOf } from "./image-fixture.ts";

// Disk and processors are shared with whatever else runs here.
setDefaultTimeout(60_000);

describe("faults", () => {
  test("disk full: import, load and unpack say so, nothing is left, and the store is well afterwards", async () => {
    const mount = fs.mkdtempSync("/tmp/gantry-image-full-");
    const big = tarOf("head -c 30000000 /dev/urandom >big");
    const many = tarOf("seq 1 4000 | while read i; do echo $i >f$i; done");
    const layers = await (async () => {
      await using elsewhere = openFixture();
      await elsewhere.store.importTar(stream(big), { reference: "big" });
      return await bytesOf(elsewhere.store.save(["big"]));
    })();
    sh("/", `mount -t tmpfs -o size=24m,nr_inodes=3000 tmpfs ${mount}`);
    try {
      await using at = openFixture(mount);
      expect(await failure(at.store.importTar(stream(big), { reference: "x" }))).toStartWith(
        'exhausted: no space left on device: unpack "./big"',
      );
      expect(await failure(at.store.load(stream(layers)))).toStartWith("exhausted: no space left on device");
      expect(await failure(at.store.importTar(stream(many), { reference: "x" }))).toStartWith(
        'exhausted: no space left on device: unpack "./f',
      );
      fs.mkdirSync(`${mount}/tree`);
      expect(await failure(at.trees.unpack({ dir: `${mount}/tree` }, "/", stream(big)))).toStartWith(
        "exhausted: no space left on device",
      );
      await at.store.idle();
      expect(leftovers(at)).toEqual([]);
      expect((await at.store.importTar(stream(tarOf("touch ok")), { reference: "ok" })).repoTags).toEqual([
        "ok:latest",
      ]);
    } finally {
      sh("/", `umount ${mount}; rmdir ${mount}`);
    }
  });

  test("an abort ends the work and leaves nothing", async () => {
    await using at = openFixture();
    const abort = new AbortController();
    async function* slow(): AsyncGenerator<Uint8Array, void, void> {
      const tar = tarOf("head -c 3000000 /dev/urandom >file");
      for (const [i, piece] of [tar.subarray(0, 1e6), tar.subarray(1e6, 2e6), tar.subarray(2e6)].entries()) {
        yield piece;
        if (i === 1) abort.abort(new GantryError("canceled", "the client went away"));
      }
    }
    expect(await failure(at.store.importTar(slow(), { signal: abort.signal }))).toBe(
      "canceled: the client went away",
    );
    await at.store.idle();
    expect(leftovers(at)).toEqual([]);
  });

  test("kill -9 of the engine in the middle: its child ends, the next start clears up", async () => {
    await using at = openFixture();
    await at.store.importTar(stream(tarOf("touch kept")), { reference: "kept" });
    const script = `
      import { openFixture } from ${JSON.stringify(`${import.meta.dir}/image-fixture.ts`)};
      const at = openFixture(${JSON.stringify(at.root)});
      const head = Buffer.from(await Bun.stdin.bytes());
      async function* source() { yield head; console.log("fed"); await Bun.sleep(60_000); }
      await at.store.importTar(source(), {});`;
    const tar = tarOf("for i in $(seq 100); do head -c 20000 /dev/urandom >f$i; done");
    const engine = Bun.spawn([process.execPath, "-e", script], {
      stdin: tar.subarray(0, 1_500_000),
      stdout: "pipe",
    });
    using _ = { [Symbol.dispose]: () => engine.kill("SIGKILL") };
    const reader = engine.stdout.getReader();
    await reader.read();
    const partial = (): number =>
      Number(sh(at.root, "du -s --apparent-size -B1 ingest | cut -f1").toString());
    for (let i = 0; i < 200 && partial() < 1_000_000; i++) await Bun.sleep(10);
    expect(partial()).toBeGreaterThanOrEqual(1_000_000);
    const children = sh("/", `cat /proc/${engine.pid}/task/*/children`)
      .toString()
      .trim()
      .split(/\s+/)
      .filter(Boolean);
    expect(children).toHaveLength(1);
    engine.kill("SIGKILL");
    await engine.exited;
    for (let i = 0; i < 200 && fs.existsSync(`/proc/${children[0]}`); i++) await Bun.sleep(10);
    expect(fs.existsSync(`/proc/${children[0]}`)).toBe(false);
    // What stands between a rename and its record, and a blob that no layer needs.
    fs.mkdirSync(`${at.root}/layers/${"0".repeat(64)}/fs`, { recursive: true });
    fs.writeFileSync(`${at.root}/blobs/sha256/${"0".repeat(64)}`, "x");
    const again = at.reopen();
    await again.store.idle();
    expect(leftovers(again)).toEqual([`layers/${again.store.find("kept").chainId?.slice(7)}`]);
    expect(sh("/", "grep -v /lowers /proc/self/mountinfo").toString()).not.toContain(at.root);
  });

  test("a layer that was changed on disk is noticed by save", async () => {
    await using at = openFixture();
    await at.store.importTar(stream(tarOf("printf 1 >f")), { reference: "x" });
    sh(
      at.root,
      "cd layers/*; if [ -f layer.erofs ]; then sed -i 's/^1\\x00/2\\x00/; s/\\x001\\x00/\\x002\\x00/' layer.erofs; else printf 2 >fs/f; fi",
    );
    expect(await failure(bytesOf(at.store.save(["x"])))).toMatch(
      /^corrupt: layer sha256:[0-9a-f]{64} has been changed on disk/,
    );
  });
});
