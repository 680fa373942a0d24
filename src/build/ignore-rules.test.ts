import { describe, expect, test } from "bun:test";
import { parseIgnoreRules } from "./ignore-rules.ts";

describe(".dockerignore", () => {
  test.each([
    ["", "a", false],
    ["*.go", "x.go", true],
    ["*.go", "d/x.go", false],
    ["**/*.go", "d/x.go", true],
    ["docs", "docs/README.md", true],
    ["docs/", "docs/README.md", true],
    ["/docs", "docs/a", true],
    ["./docs", "docs/a", true],
    ["docs\n!docs/README.md", "docs/README.md", false],
    ["docs\n!docs/README.md", "docs/other.md", true],
    ["docs/*\n!docs/README.md", "docs/README.md", false],
    ["!x.go\n*.go", "x.go", true],
    ["*.go\n!x.go", "x.go", false],
    ["*\n!src\nsrc/*.tmp", "src/a.tmp", true],
    ["*\n!src\nsrc/*.tmp", "src/a.ts", false],
    ["*\n!src\nsrc/*.tmp", "other", true],
    ["# *.go", "x.go", false],
    ["  a  ", "a", true],
    ["\uFEFFa", "a", true],
    ["a/../b", "b", true],
    ["a\r\nb\r\n", "b", true],
  ])("%j on %s: %p", (text, path, want) => {
    expect(parseIgnoreRules(text).ignores(path)).toBe(want);
  });

  test("a malformed pattern names file and line", () => {
    expect(() => parseIgnoreRules("ok\n[", "x.dockerignore")).toThrow(
      "x.dockerignore, line 2: syntax error in pattern",
    );
    expect(() => parseIgnoreRules("!")).toThrow("line 1");
  });

  test("the number of patterns is bounded", () => {
    expect(() => parseIgnoreRules("a\n".repeat(10_001))).toThrow("more than 10000 patterns");
  });
});
