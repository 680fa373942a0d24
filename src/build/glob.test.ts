import { describe, expect, test } from "bun:test";
import { compileGlob, type GlobOptions, matchGlob } from "./glob.ts";

const path: GlobOptions = { separator: "/", doubleStar: false, classes: true };
const ignore: GlobOptions = { separator: "/", doubleStar: true, classes: true };
const word: GlobOptions = { separator: "", doubleStar: false, classes: false };

const matches = (pattern: string, text: string, options: GlobOptions): boolean | "malformed" => {
  const glob = compileGlob(pattern, options);
  return glob === undefined ? "malformed" : matchGlob(glob, text);
};

describe("paths, as Go's filepath.Match has them", () => {
  test.each([
    ["abc", "abc", true],
    ["*", "abc", true],
    ["*", "", true],
    ["*", "a/b", false],
    ["*c", "abc", true],
    ["a*/b", "abc/b", true],
    ["a*/b", "a/c/b", false],
    ["a*b*c*d*e*/f", "axbxcxdxexxx/f", true],
    ["a*b?c*x", "abxbbxdbxebxczzy", false],
    ["ab[b-d]", "abc", true],
    ["ab[^b-d]", "abc", false],
    ["a[^a]b", "a☺b", true],
    ["a?b", "a☺b", true],
    ["a?b", "a/b", false],
    ["[a-ζ]*", "α", true],
    [String.raw`[\]a]`, "]", true],
    [String.raw`[x\-]`, "-", true],
    [String.raw`a\*b`, "a*b", true],
    [String.raw`a\*b`, "axb", false],
    ["a.b", "axb", false],
    ["**", "a/b", false],
  ])("%s on %s: %p", (pattern, text, want) => {
    expect(matches(pattern, text, path)).toBe(want);
  });

  test.each(["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\"])(
    "%s is malformed",
    (pattern) => {
      expect(matches(pattern, "a", path)).toBe("malformed");
    },
  );
});

describe("** of .dockerignore", () => {
  test.each([
    ["**", "dir/file", true],
    ["dir/**", "dir/a/b", true],
    ["dir/**", "dir", false],
    ["**/dir", "dir", true],
    ["**/dir", "a/b/dir", true],
    ["**/dir", "a/xdir", false],
    ["**/dir2/*", "dir/dir2/file", true],
    ["**/**/*.txt", "a.txt", true],
    ["**/**/*.txt2", "a/a.txt", false],
    ["**file", "dir/file", true],
    ["a**/*.txt", "a/dir/dir/file.txt", true],
    ["a/*.txt", "a/dir/file.txt", false],
    ["**/.foo", "bar.foo", false],
    ["a/**/b", "a/b", true],
    ["a/**/b", "a/x/y/b", true],
    ["a/**/b", "ab", false],
  ])("%s on %s: %p", (pattern, text, want) => {
    expect(matches(pattern, text, ignore)).toBe(want);
  });
});

test("without a separator a star matches all, and brackets are plain", () => {
  expect(matches("a*[b]", "a/x[b]", word)).toBe(true);
});

test("a hostile pattern takes time in proportion to its length times the text's", () => {
  const start = performance.now();
  expect(matches(`${"*a".repeat(500)}b`, "a".repeat(2000), path)).toBe(false);
  expect(performance.now() - start).toBeLessThan(1500);
});
