/** COPY and ADD without a disk: words to files, owners, digests. The trees are doubles; the real ones are in test/system. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { Trees } from "../../image/index.ts";
import { tarHeader, tarPadding, tarTrailer, type TarEntryInput } from "../../lib/index.ts";
import { copyDestination } from "../do-step.ts";
import { downloadName, isGit, isUrl } from "./download.ts";
import { hasWildcards, matchSources } from "./match-sources.ts";
import { parseAccounts, resolveOwner } from "./owner.ts";
import { hashTar, isTarHead, onlyFile, tarOf } from "./tar-content.ts";
import { TreeView } from "./tree-view.ts";

/** A tree of files by absolute path; a directory exists by what is in it. */
function viewOf(files: Readonly<Record<string, string>>): TreeView {
  const names = Object.keys(files);
  const dirs = new Set(
    names.flatMap((name) => name.split("/").map((_, i, parts) => parts.slice(0, i).join("/") || "/")),
  );
  const list: Trees["list"] = async (_, path, { recursive }) => {
    const at = path.replace(/\/+$/, "") || "/";
    const entry = (below: string, type: "file" | "dir") => ({
      path: below,
      type,
      mode: 0,
      uid: 0,
      gid: 0,
      size: 0,
      mtimeNs: "0",
      linkPath: "",
    });
    if (files[at] !== undefined) return [entry("", "file")];
    if (!dirs.has(at)) return undefined;
    const prefix = at === "/" ? "/" : `${at}/`;
    const all = [...names, ...dirs]
      .filter((name) => name.startsWith(prefix) && name !== prefix)
      .map((name) => name.slice(prefix.length));
    const shown = all.filter((name) => recursive || !name.includes("/")).sort();
    return [entry("", "dir"), ...shown.map((name) => entry(name, dirs.has(prefix + name) ? "dir" : "file"))];
  };
  const readFile: Trees["readFile"] = async (_, path) =>
    files[path] === undefined ? undefined : Buffer.from(files[path]);
  const unused = (): never => {
    throw new Error("not asked for here");
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a double: the class has private parts
  const trees = { list, readFile, pack: unused, unpack: unused } as unknown as Trees;
  return new TreeView(trees, { dir: "/nowhere" });
}

describe("matchSources", () => {
  const view = viewOf({
    "/a.txt": "",
    "/b.txt": "",
    "/src/a.txt": "",
    "/src/x/a.txt": "",
    "/src/y/b.md": "",
    "/a[1]": "",
  });

  test.each([
    ["*.txt", ["a.txt", "b.txt"]],
    ["?.txt", ["a.txt", "b.txt"]],
    ["[a].txt", ["a.txt"]],
    ["src/*", ["src/a.txt", "src/x", "src/y"]],
    ["src/*/a.txt", ["src/x/a.txt"]],
    ["*/*/*", ["src/x/a.txt", "src/y/b.md"]],
    [String.raw`a\[1*`, ["a[1]"]],
    ["none/*", []],
  ])("%s", async (pattern, want) => {
    expect(await matchSources(view, pattern, new AbortController().signal)).toEqual(want);
  });

  test("a malformed pattern is refused", () => {
    expect(matchSources(view, "a[", new AbortController().signal)).rejects.toThrow("syntax error in pattern");
  });

  test.each([
    ["a/b", false],
    ["a*", true],
    ["a?", true],
    ["[a]", true],
    [String.raw`a\*`, false],
    [String.raw`a\**`, true],
  ])("wildcards in %s: %p", (path, want) => {
    expect(hasWildcards(path)).toBe(want);
  });
});

describe("resolveOwner", () => {
  const view = viewOf({
    "/etc/passwd": "root:x:0:0::/:/bin/sh\nbroken\nweb:x:101:202::/:\nsame:x:5:6::/:\n",
    "/etc/group": "root:x:0:\nsame:x:7:\nstaff:x:50:web\n",
  });

  test.each([
    ["1", { uid: 1, gid: 1 }],
    ["1:2", { uid: 1, gid: 2 }],
    ["web", { uid: 101, gid: 202 }],
    ["same", { uid: 5, gid: 7 }],
    ["web:staff", { uid: 101, gid: 50 }],
    ["9:staff", { uid: 9, gid: 50 }],
    ["web:3", { uid: 101, gid: 3 }],
  ])("%s", async (chown, want) => {
    expect(await resolveOwner(chown, view)).toEqual(want);
  });

  test.each([
    ["nobody", "can't find uid for user nobody: no such user: nobody"],
    ["web:nogroup", "can't find gid for group nogroup"],
    ["a:b:c", "invalid chown string format: a:b:c"],
    [":1", "invalid chown string format"],
    ["99999999999", "can't find uid"],
    ["4294967295", "is too large"],
  ])("%s is refused: %s", (chown, message) => {
    expect(resolveOwner(chown, view)).rejects.toThrow(message);
  });

  test("an image without /etc/passwd knows numbers only", async () => {
    expect(await resolveOwner("3:4", viewOf({}))).toEqual({ uid: 3, gid: 4 });
    expect(resolveOwner("root", viewOf({}))).rejects.toThrow("no such user: root");
  });

  test("damaged lines are skipped", () => {
    expect(parseAccounts("a:x:1:2\n:x:3:4\nb\nc:x:-1:0\nd:x:9")).toEqual([
      { name: "a", id: 1, group: 2 },
      { name: "d", id: 9, group: 9 },
    ]);
  });
});

async function* tar(entry: TarEntryInput, content = ""): AsyncGenerator<Uint8Array, void, void> {
  const bytes = Buffer.from(content);
  yield Buffer.concat([
    tarHeader({ ...entry, size: bytes.length }),
    bytes,
    tarPadding(bytes.length),
    tarTrailer,
  ]);
}

async function tarDigest(source: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  await hashTar(hash, source);
  return hash.digest("hex");
}

describe("tar content", () => {
  const file: TarEntryInput = { path: "a", type: "file" };

  test("the digest does not know times, and knows all else", async () => {
    const digest = await tarDigest(tar(file, "x"));
    expect(await tarDigest(tar({ ...file, mtimeNs: 5_000_000_000n }, "x"))).toBe(digest);
    const others = [
      tar(file, "y"),
      tar({ ...file, path: "b" }, "x"),
      tar({ ...file, mode: 0o755 }, "x"),
      tar({ ...file, uid: 1 }, "x"),
      tar({ ...file, xattrs: new Map([["user.a", Buffer.from("1")]]) }, "x"),
    ];
    for (const other of others) expect(await tarDigest(other)).not.toBe(digest);
  });

  test("what is no tar is an error", () => {
    const junk = (async function* () {
      yield Buffer.alloc(1024, 1);
    })();
    expect(tarDigest(junk)).rejects.toThrow();
  });

  test("small files go in and come out", async () => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of onlyFile(tarOf([{ name: "f", content: "hello ☃", mode: 0o600 }])))
      chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe("hello ☃");
  });

  test("a tar is known by its checksum", () => {
    const head = tarHeader(file);
    expect(isTarHead(head)).toBe(true);
    expect(isTarHead(head.with(0, 1))).toBe(false);
    expect(isTarHead(head.subarray(0, 511))).toBe(false);
    expect(isTarHead(new Uint8Array(512))).toBe(false);
  });
});

describe("copyDestination", () => {
  test.each([
    ["/w", "/a", "/a"],
    ["/w", "/a/", "/a/"],
    ["/w", "a", "/w/a"],
    ["/w", "a/b/", "/w/a/b/"],
    ["/w", ".", "/w/"],
    ["/w", "./", "/w/"],
    ["/w", "..", "/"],
    ["/w", "a/..", "/w/"],
    ["/", "/", "/"],
    ["/w", "../../../etc/x", "/etc/x"],
    ["", "x", "/x"],
    ["/w", "a.", "/w/a."],
  ])("in %j, %j is %j", (workingDir, destination, want) => {
    expect(copyDestination(workingDir, destination)).toBe(want);
  });
});

describe("URLs", () => {
  test.each([
    ["https://x/a/b.tgz?q=1", null, "b.tgz"],
    ["https://x/a%20b", null, "a b"],
    ["https://x/a%b", null, "a%b"],
    ["https://x/", 'attachment; filename="c.txt"', "c.txt"],
    ["https://x/", 'attachment; filename="../../etc/passwd"', "passwd"],
    ["https://x/a%2f..%2f", "filename=..", undefined],
    ["https://x/", null, undefined],
  ])("%s with %j is %p", (url, disposition, want) => {
    expect(downloadName(new URL(url), disposition)).toBe(want);
  });

  test.each([
    ["https://x/a", true, false],
    ["HTTP://x", true, false],
    ["https://x/a.git#main", true, true],
    ["git@x:a", false, true],
    ["git://x/a", false, true],
    ["a/http://x", false, false],
    ["repo.git", false, false],
  ])("%s: url %p, git %p", (source, url, git) => {
    expect([isUrl(source), isGit(source)]).toEqual([url, git]);
  });
});
