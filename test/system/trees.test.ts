/** Files of trees, handled by confined children: needs root. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import type { TreeRoot } from "../../src/image/index.ts";
import { bytesOf, failure, type Fixture, openFixture, sh, stream, tarOf } from "./image-fixture.ts";

// Disk and processors are shared with whatever else runs here.
setDefaultTimeout(60_000);

/** A root with links that would lead to the host's files if anyone but the kernel resolved them. */
const treacherous = `
  mkdir -p etc app/src/sub real data; printf inside >etc/shadow; printf secret >data/s
  ln -s /etc/shadow app/absolute; ln -s ../../../../../../etc/shadow app/climbing; ln -s /data app/data; ln -s /real link
  printf 1 >app/src/one; printf 2 >app/src/sub/two; touch app/src/skip; ln -s one app/src/alias; chmod 640 app/src/one; chown 5:6 app/src/one`;

async function makeImage(at: Fixture): Promise<TreeRoot & { readonly lowers: readonly string[] }> {
  const image = await at.store.importTar(stream(tarOf(treacherous)), {});
  return { lowers: image.lowers };
}

function writable(at: Fixture, lowers: readonly string[]): TreeRoot & { readonly upper: string } {
  const dir = at.store.temporaryPath("test");
  fs.mkdirSync(`${dir}/upper`, { recursive: true });
  fs.mkdirSync(`${dir}/work`);
  return { lowers, upper: `${dir}/upper`, work: `${dir}/work` };
}

const listTar = (tar: Buffer): string[] =>
  sh("/", "tar -tv --numeric-owner -f -", tar)
    .toString()
    .trim()
    .split("\n")
    .map((line) => {
      const [mode = "", owner = "", size = "", , , ...name] = line.split(/ +/);
      return `${mode} ${owner} ${size} ${name.join(" ")}`;
    });

describe("pack", () => {
  test("a directory's content, a directory, a file by another name, links followed inside the root only", async () => {
    await using at = openFixture();
    const root = await makeImage(at);
    const tar = await bytesOf(
      at.trees.pack(root, {
        items: [
          { path: "app/src", as: "content", contentsOnly: true },
          { path: "/link/../app/src/sub", as: "named" },
          { path: "app/absolute", as: "shadow" },
          { path: "app/data", as: "data" },
        ],
        exclude: ["app/src/skip"],
      }),
    );
    expect(listTar(tar)).toEqual([
      "lrwxrwxrwx 0/0 0 content/alias -> one",
      "-rw-r----- 5/6 1 content/one",
      "drwxr-xr-x 0/0 0 content/sub/",
      "-rw-r--r-- 0/0 1 content/sub/two",
      "drwxr-xr-x 0/0 0 named/",
      "-rw-r--r-- 0/0 1 named/two",
      "-rw-r--r-- 0/0 6 shadow",
      "drwxr-xr-x 0/0 0 data/",
      "-rw-r--r-- 0/0 6 data/s",
    ]);
    expect(sh("/", "tar -xO -f - shadow", tar).toString()).toBe("inside");
    const again = await bytesOf(at.trees.pack(root, { items: [{ path: "app/climbing", as: "x" }] }));
    expect(sh("/", "tar -xO -f - x", again).toString()).toBe("inside");
  });

  test("owner and mode instead of the files' own; what is missing is named", async () => {
    await using at = openFixture();
    const root = await makeImage(at);
    const tar = await bytesOf(
      at.trees.pack(root, { items: [{ path: "app/src", as: "s" }], owner: { uid: 7, gid: 8 }, chmod: 0o511 }),
    );
    expect(listTar(tar).slice(0, 3)).toEqual([
      "dr-x--x--x 7/8 0 s/",
      "lrwxrwxrwx 7/8 0 s/alias -> one",
      "-r-x--x--x 7/8 1 s/one",
    ]);
    expect(
      await failure(bytesOf(at.trees.pack(root, { items: [{ path: "app/none", as: "s" }] }))),
    ).toStartWith("not-found: look at /app/none: ");
  });

  test("a reader that leaves early ends the child", async () => {
    await using at = openFixture();
    const image = await at.store.importTar(stream(tarOf("head -c 20000000 /dev/zero >big")), {});
    for await (const chunk of at.trees.pack(
      { lowers: image.lowers },
      { items: [{ path: "big", as: "b" }] },
    )) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    const children = fs
      .readdirSync("/proc/self/task")
      .map((task) => fs.readFileSync(`/proc/self/task/${task}/children`, "utf8"));
    expect(children.join("").trim()).toBe("");
  });
});

describe("unpack", () => {
  test("into an overlay: links of the image are followed inside it, the layers below stay as they are", async () => {
    await using at = openFixture();
    const { lowers } = await makeImage(at);
    const root = writable(at, lowers);
    const tar = tarOf("mkdir -p src data; printf new >src/one; printf x >data/new; printf p >shadow");
    await at.trees.unpack(root, "/app", stream(tar), { owner: { uid: 9, gid: 10 } });
    const read = async (path: string): Promise<string> =>
      Buffer.from((await at.trees.readFile(root, path, 100)) ?? []).toString();
    expect(await read("/app/src/one")).toBe("new");
    // app/data is a link to /data.
    expect(await read("/data/new")).toBe("x");
    expect(await read("/data/s")).toBe("secret");
    expect(fs.statSync(`${root.upper}/data/new`)).toMatchObject({ uid: 9, gid: 10 });
    expect(Buffer.from((await at.trees.readFile({ lowers }, "/app/src/one", 100)) ?? []).toString()).toBe(
      "1",
    );
    expect(sh("/", "grep -v /lowers /proc/self/mountinfo").toString()).not.toContain(at.root);
  });

  test("many writers and readers of one tree at once", async () => {
    await using at = openFixture();
    const root = writable(at, (await makeImage(at)).lowers);
    const names = Array.from({ length: 6 }, (_, i) => `file${i}`);
    await Promise.all(
      names.map((name) => at.trees.unpack(root, "/many", stream(tarOf(`echo ${name} >${name}`)))),
    );
    const read = await Promise.all(names.map((name) => at.trees.readFile(root, `/many/${name}`, 100)));
    expect(read.map((bytes) => Buffer.from(bytes ?? []).toString())).toEqual(
      names.map((name) => `${name}\n`),
    );
  });

  test("a destination that is missing is made, through a link and with the owner", async () => {
    await using at = openFixture();
    const root = writable(at, (await makeImage(at)).lowers);
    await at.trees.unpack(root, "link/a//./b/", stream(tarOf("touch f; chmod 700 .")), {
      owner: { uid: 3, gid: 4 },
    });
    expect(fs.statSync(`${root.upper}/real/a`)).toMatchObject({ uid: 3, gid: 4 });
    expect(fs.statSync(`${root.upper}/real/a`).mode & 0o777).toBe(0o755);
    expect(fs.existsSync(`${root.upper}/real/a/b/f`)).toBe(true);
  });

  test("a directory is not replaced by a file, a file not by its path's directory", async () => {
    await using at = openFixture();
    const root = writable(at, (await makeImage(at)).lowers);
    expect(await failure(at.trees.unpack(root, "/app", stream(tarOf("touch src"))))).toBe(
      "conflict: cannot overwrite directory /app/src with a file that is none",
    );
    expect(await failure(at.trees.unpack(root, "/etc/shadow/x", stream(tarOf("touch f"))))).toBe(
      "conflict: /etc/shadow/x is not a directory",
    );
    expect(await failure(at.trees.unpack({ lowers: [] }, "/", stream(tarOf("touch f"))))).toBe(
      "denied: the tree is read-only",
    );
    expect(
      await failure(
        at.trees.unpack(root, "/", stream(tarOf("head -c 5000 /dev/zero >f")), { maxBytes: 4999 }),
      ),
    ).toStartWith("exhausted: no space left");
  });

  test("names that are whiteouts in layers are plain here, and a volume takes what pack gave", async () => {
    await using at = openFixture();
    const volume = `${at.root}/volume`;
    fs.mkdirSync(volume);
    const root = await makeImage(at);
    await at.trees.unpack(
      { dir: volume },
      "/",
      at.trees.pack(root, { items: [{ path: "/app/src", as: "", contentsOnly: true }] }),
    );
    expect(fs.readdirSync(volume).sort()).toEqual(["alias", "one", "skip", "sub"]);
    expect(fs.statSync(`${volume}/one`)).toMatchObject({ uid: 5, gid: 6 });
    await at.trees.unpack({ dir: volume }, "/", stream(tarOf("touch .wh.one")));
    expect(fs.readdirSync(volume)).toContain("one");
    expect(fs.readdirSync(volume)).toContain(".wh.one");
  });

  test("nothing is made through a link of the archive to the outside; the tree's own links are followed inside it", async () => {
    await using at = openFixture();
    const volume = `${at.root}/volume`;
    fs.mkdirSync(`${volume}/tmp`, { recursive: true });
    fs.symlinkSync("/tmp", `${volume}/own`);
    const evil = sh(
      "/tmp",
      "d=$(mktemp -d); cd $d; ln -s /tmp l; tar -cf a.tar l; rm l; mkdir l; echo x >l/gantry-escaped; tar -rf a.tar l/gantry-escaped; cat a.tar; rm -r $d",
    );
    expect(await failure(at.trees.unpack({ dir: volume }, "/", stream(evil)))).toContain(
      'corrupt: entry "l/gantry-escaped" of the archive leads outside of it through the link "l" to "/tmp"',
    );
    await at.trees.unpack({ dir: volume }, "/", stream(tarOf("mkdir own; touch own/gantry-inside")));
    expect(fs.readdirSync(`${volume}/tmp`)).toEqual(["gantry-inside"]);
    expect(fs.existsSync("/tmp/gantry-escaped") || fs.existsSync("/tmp/gantry-inside")).toBe(false);
  });
});

describe("list and readFile", () => {
  test("sorted, with metadata, links looked through at the path itself only", async () => {
    await using at = openFixture();
    const root = await makeImage(at);
    const listed = await at.trees.list(root, "/app", { recursive: false });
    expect(listed?.map((entry) => `${entry.type} ${entry.path} ${entry.linkPath}`.trim())).toEqual([
      "dir",
      "symlink absolute /etc/shadow",
      "symlink climbing ../../../../../../etc/shadow",
      "symlink data /data",
      "dir src",
    ]);
    expect((await at.trees.list(root, "app/src", { recursive: true }))?.map((entry) => entry.path)).toEqual([
      "",
      "alias",
      "one",
      "skip",
      "sub",
      "sub/two",
    ]);
    expect((await at.trees.list(root, "app/src/one", { recursive: true }))?.[0]).toMatchObject({
      path: "",
      type: "file",
      size: 1,
      uid: 5,
      gid: 6,
      mode: 0o640,
    });
    expect(await at.trees.list(root, "/app/data/none", { recursive: true })).toBeUndefined();
    expect(await at.trees.list(root, "/etc/shadow/none", { recursive: true })).toBeUndefined();
  });

  test("files through links, with and without a child, the same", async () => {
    await using at = openFixture();
    const { lowers } = await makeImage(at);
    const over = writable(at, lowers);
    for (const root of [{ lowers }, over]) {
      const read = async (path: string, max = 100): Promise<string | undefined> => {
        const bytes = await at.trees.readFile(root, path, max);
        return bytes === undefined ? undefined : Buffer.from(bytes).toString();
      };
      expect(
        await Promise.all(
          ["/etc/shadow", "app/absolute", "app/climbing", "/app/data/s", "../../etc/shadow"].map((path) =>
            read(path),
          ),
        ),
      ).toEqual(["inside", "inside", "inside", "secret", "inside"]);
      expect(await read("/none")).toBeUndefined();
      expect(await read("/etc/shadow/none")).toBeUndefined();
      expect(await failure(read("/etc/shadow", 5))).toBe("exhausted: /etc/shadow is larger than 5 bytes");
      expect(await failure(read("/etc"))).toBe("invalid: /etc is not a regular file");
    }
  });

  test("an image of no layer is an empty directory", async () => {
    await using at = openFixture();
    expect(
      (await at.trees.list({ lowers: [] }, "/", { recursive: true }))?.map((entry) => entry.path),
    ).toEqual([""]);
  });

  test("more layers than one page of mount options names by path", async () => {
    await using at = openFixture();
    using hold = at.store.hold();
    let top: Awaited<ReturnType<typeof at.store.applyLayer>> | undefined;
    for (let i = 0; i < 130; i++) {
      // Each layer is written by hand here: 130 children would cost this test seconds.
      const upper = at.store.temporaryPath("test");
      fs.mkdirSync(upper);
      fs.writeFileSync(`${upper}/f${i}`, String(i));
      if (i < 3) top = await at.store.diffLayer({ upper, parent: top?.chainId, hold });
      else fs.renameSync(upper, `${at.root}/extra${i}`);
    }
    const extra = Array.from({ length: 127 }, (_, i) => `${at.root}/extra${i + 3}`);
    const listed = await at.trees.list({ lowers: [...extra, ...at.store.lowers(top?.chainId)] }, "/", {
      recursive: true,
    });
    expect(listed).toHaveLength(131);
  });
});
