import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDigest, sha256, tarHeader, TarReader, tarTrailer } from "../lib/index.ts";
import { TreeReader, type TreeReaderOptions } from "./tree-reader.ts";
import { TreeWriter } from "./tree-writer.ts";

let dir = "";
const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
beforeAll(() => {
  dir = fs.mkdtempSync(join(tmpdir(), "gantry-tree-"));
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

/** A kernel without extended attributes. */
const sys = {
  listXattrs: () => [],
  getXattr: () => {
    throw Object.assign(new Error("no such attribute"), { code: "ENODATA" });
  },
  setXattr: () => undefined,
  mknod: () => {
    throw new Error("not here");
  },
  setTimes: (path: string, atimeNs: bigint, mtimeNs: bigint) =>
    fs.lutimesSync(path, Number(atimeNs) / 1e9, Number(mtimeNs) / 1e9),
};

function read(options: Partial<TreeReaderOptions>, fill: (reader: TreeReader) => void): Buffer {
  const chunks: Uint8Array[] = [];
  const reader = new TreeReader({
    sys,
    whiteouts: true,
    write: (bytes) => chunks.push(bytes.slice()),
    ...options,
  });
  fill(reader);
  reader.finish();
  return Buffer.concat(chunks);
}

function makeTree(name: string): string {
  const root = join(dir, name);
  fs.mkdirSync(join(root, "b/sub"), { recursive: true });
  fs.writeFileSync(join(root, "b/file"), "content");
  fs.writeFileSync(join(root, `b/${"long".repeat(40)}`), "");
  fs.linkSync(join(root, "b/file"), join(root, "b/other"));
  fs.symlinkSync("/b/file", join(root, "a"));
  fs.chmodSync(join(root, "b/file"), 0o4750);
  for (const path of ["", "b", "b/sub"]) fs.chmodSync(join(root, path), 0o755);
  fs.chmodSync(join(root, `b/${"long".repeat(40)}`), 0o644);
  const times = ["a", "b/sub", "b/file", `b/${"long".repeat(40)}`, "b", ""];
  for (const path of times) fs.lutimesSync(join(root, path), 1_700_000_000.25, 1_700_000_000.25);
  return root;
}

test("the bytes of a layer are what they have always been", () => {
  const root = makeTree("golden");
  const tar = read({ owner: { uid: 1, gid: 2 } }, (reader) => reader.addRoot(root));
  // The digests of images that users have stored rest on this: a change here makes them unsavable.
  expect(sha256(tar)).toEqual(
    parseDigest("sha256:c69038c7ab6d891679cad52fda1d5b709a14a9789d309e20b1ec4757dc70086d"),
  );
  expect(tar.equals(read({ owner: { uid: 1, gid: 2 } }, (reader) => reader.addRoot(makeTree("again"))))).toBe(
    true,
  );
});

describe("names that mean something in layers", () => {
  test("are refused in a layer and plain in a tree", () => {
    const root = join(dir, "reserved");
    fs.mkdirSync(root);
    fs.writeFileSync(join(root, ".wh.x"), "");
    expect(() => read({}, (reader) => reader.addRoot(root))).toThrow(
      'the file name ".wh.x" cannot be stored in a layer',
    );
    expect(read({ whiteouts: false }, (reader) => reader.add(root, "r", true)).length).toBeGreaterThan(1024);
  });
});

describe("TreeWriter", () => {
  function apply(base: string, layer: boolean, tar: Buffer): ReturnType<TreeWriter["finish"]> {
    const writer = new TreeWriter({ sys, layer, base, owner, maxBytes: 1000 });
    const reader = new TarReader();
    for (const event of reader.push(tar)) writer.apply(event);
    reader.finish();
    return writer.finish();
  }
  const archive = (...entries: Parameters<typeof tarHeader>[0][]): Buffer =>
    Buffer.concat([...entries.map(tarHeader), tarTrailer]);

  test("what was read is written, and reads the same", () => {
    const from = makeTree("from");
    const to = join(dir, "to");
    fs.mkdirSync(to);
    const options = { owner: { uid: 1, gid: 2 } };
    const tar = read(options, (reader) => reader.addRoot(from));
    expect(apply(to, true, tar)).toEqual({ entries: 7, bytes: 7, implied: [] });
    expect(read(options, (reader) => reader.addRoot(to)).equals(tar)).toBe(true);
  });

  test("directories that no entry described are told", () => {
    const to = join(dir, "implied");
    fs.mkdirSync(to);
    const { implied } = apply(
      to,
      true,
      archive({ path: "a/b/c", type: "file" }, { path: "a/b", type: "dir" }),
    );
    expect([...implied].sort()).toEqual(["", "a"]);
  });

  test("a layer replaces, a tree keeps links to directories and refuses a file on a directory", () => {
    const make = (name: string): string => {
      const root = join(dir, name);
      fs.mkdirSync(join(root, "real"), { recursive: true });
      fs.symlinkSync("real", join(root, "link"));
      return root;
    };
    const entries = [
      { path: "link", type: "dir" },
      { path: "link/f", type: "file" },
    ] as const;
    const layer = make("as-layer");
    apply(layer, true, archive(...entries));
    expect(fs.lstatSync(join(layer, "link")).isDirectory()).toBe(true);
    expect(fs.readdirSync(join(layer, "real"))).toEqual([]);
    apply(layer, true, archive({ path: "real", type: "file" }));
    expect(fs.lstatSync(join(layer, "real")).isFile()).toBe(true);
    const tree = make("as-tree");
    apply(tree, false, archive(...entries));
    expect(fs.readdirSync(join(tree, "real"))).toEqual(["f"]);
    expect(() => apply(tree, false, archive({ path: "real", type: "file" }))).toThrow(
      "cannot overwrite directory",
    );
  });

  test("content beyond the limit is refused before it is written", () => {
    const to = join(dir, "limit");
    fs.mkdirSync(to);
    const big = archive({ path: "big", type: "file", size: 1001 });
    expect(() =>
      apply(to, true, Buffer.concat([big.subarray(0, 512), Buffer.alloc(1024), tarTrailer])),
    ).toThrow('no space left on device: unpack "big" (1001 bytes)');
    expect(fs.readdirSync(to)).toEqual([]);
  });
});
