import { describe, expect, test } from "bun:test";
import { archivePath, layerName, linkedPath } from "./tree-path.ts";

describe("archivePath", () => {
  test.each([
    ["a/b", ["a", "b"]],
    ["./a//b/", ["a", "b"]],
    [".", []],
    ["./", []],
    ["/", []],
    ["", []],
    ["a/..b/...", ["a", "..b", "..."]],
  ])("%p", (path, parts) => expect(archivePath(path)).toEqual(parts));

  test.each(["../a", "a/../../b", "a/..", "..", "/etc/passwd", "//etc", "./../x"])(
    "%p leads outside",
    (path) => {
      expect(() => archivePath(path)).toThrow(
        `entry ${JSON.stringify(path)} of the archive leads outside of it`,
      );
    },
  );
});

describe("linkedPath", () => {
  test.each([
    [["lib"], "usr/lib", ["usr", "lib"]],
    [["a", "b", "l"], "../x", ["a", "x"]],
    [["a", "l"], "./../b/./c/", ["b", "c"]],
    [["a", "l"], "..", []],
  ])("%p to %p", (parts, target, want) => expect(linkedPath(parts, target, "e")).toEqual(want));

  test.each([
    [["l"], "/etc"],
    [["l"], ".."],
    [["a", "l"], "../../etc"],
    [["a", "l"], "x/../../../etc"],
  ])("%p to %p leads outside", (parts, target) => {
    expect(() => linkedPath(parts, target, "l/passwd")).toThrow(
      'entry "l/passwd" of the archive leads outside of it through the link',
    );
  });
});

describe("layerName", () => {
  test.each([
    ["file", { kind: "plain" }],
    [".whfile", { kind: "plain" }],
    [".wh.file", { kind: "whiteout", hides: "file" }],
    [".wh...a", { kind: "whiteout", hides: "..a" }],
    [".wh..wh..opq", { kind: "opaque" }],
    [".wh..wh.plnk", { kind: "ignored" }],
  ] as const)("%p", (name, want) => expect(layerName(name)).toEqual(want));

  test.each([".wh.", ".wh..", ".wh..."])("%p is refused", (name) => {
    expect(() => layerName(name)).toThrow(`invalid whiteout ${JSON.stringify(name)}`);
  });
});
