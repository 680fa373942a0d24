/** Facts: Dockerfile reference "Environment replacement"; POSIX parameter expansion as BuildKit's lexer does it. */
import { describe, expect, test } from "bun:test";
import { ExpansionBudget, expandWord, expandWords } from "./expand-word.ts";
import { SyntaxProblem } from "./source.ts";

const env: Readonly<Record<string, string>> = {
  HOME: "/root",
  EMPTY: "",
  KO: "한국어",
  FILE: "a.tar.gz",
  LIST: " a b ",
};
const expand = (word: string, options: { escape?: string; keepQuotes?: boolean } = {}): string =>
  expandWord(word, { escape: "\\", lookup: (name) => env[name], ...options });

describe("expandWord", () => {
  test.each([
    // quotes and escapes
    ["plain", "plain"],
    ["a'b c'd", "ab cd"],
    ['a"b c"d', "ab cd"],
    [String.raw`he\'llo`, "he'llo"],
    [String.raw`a\tb`, "atb"],
    [String.raw`"a\tb"`, String.raw`a\tb`],
    [String.raw`"a\\b\"c"`, String.raw`a\b"c`],
    [String.raw`'a\b'`, String.raw`a\b`],
    [String.raw`end\ `.trimEnd(), "end"],
    // names
    ["$HOME", "/root"],
    ["x${HOME}y", "x/rooty"],
    ["$HOMEX", ""],
    ["$HOME.x", "/root.x"],
    ["$KO!", "한국어!"],
    ["$1x", "x"],
    ["$.", "$."],
    ["cost: 5$", "cost: 5$"],
    [String.raw`\$HOME`, "$HOME"],
    [String.raw`\\$HOME`, String.raw`\/root`],
    ["'$HOME'", "$HOME"],
    ['"$HOME"', "/root"],
    [String.raw`"\$HOME"`, "$HOME"],
    // defaults and alternatives
    ["${NONE-d}", "d"],
    ["${EMPTY-d}", ""],
    ["${EMPTY:-d}", "d"],
    ["${NONE:-${HOME}/x}", "/root/x"],
    ["${NONE:-a b}", "a b"],
    ["${HOME+set}", "set"],
    ["${EMPTY+set}", "set"],
    ["${EMPTY:+set}", ""],
    ["${NONE+set}", ""],
    ["${HOME:?wrong}", "/root"],
    ["${EMPTY?wrong}", ""],
    // patterns
    ["${FILE#a.}", "tar.gz"],
    ["${FILE#*.}", "tar.gz"],
    ["${FILE##*.}", "gz"],
    ["${FILE%.*}", "a.tar"],
    ["${FILE%%.*}", "a"],
    ["${FILE/a/x}", "x.tar.gz"],
    ["${FILE//a/x}", "x.txr.gz"],
    ["${FILE//./}", "atargz"],
    ["${FILE/nothing/x}", "a.tar.gz"],
    ["${FILE#?}", ".tar.gz"],
    ["${FILE%${NONE:-gz}}", "a.tar."],
  ])("%s is %s", (word, want) => {
    expect(expand(word)).toBe(want);
  });

  test.each([
    ["he'llo", "single-quote"],
    ['"hello', "double-quote"],
    ["${HOME", "missing '}'"],
    ["${}", "bad substitution"],
    ["${.}", "bad substitution"],
    ["${HOME:x}", "unsupported modifier"],
    ["${HOME:=x}", "unsupported modifier"],
    ["${NONE?}", "NONE: is not allowed to be unset"],
    ["${EMPTY:?}", "EMPTY: is not allowed to be empty"],
    ["${NONE:?set it, $HOME}", "NONE: set it, /root"],
    ["${FILE/a}", "missing '/'"],
    [`${"${A:-".repeat(60)}x${"}".repeat(60)}`, "nested more than"],
  ])("%s is refused: %s", (word, message) => {
    expect(() => expand(word)).toThrow(SyntaxProblem);
    expect(() => expand(word)).toThrow(message);
  });

  test("the escape character may be a backtick; a backslash is plain then", () => {
    expect(expand("C:\\dir`$x", { escape: "`" })).toBe("C:\\dir$x");
  });

  test("in the body of a heredoc quotes are plain characters", () => {
    expect(expand(`"$HOME" it's \\$x`, { keepQuotes: true })).toBe(`"/root" it's $x`);
  });

  test("a word cannot grow without bound by its variables", () => {
    const big = "x".repeat(100_000);
    const many = "$A".repeat(100);
    expect(() => expandWord(many, { escape: "\\", lookup: () => big })).toThrow("grows over");
  });

  test("a hostile pattern is refused, not run for minutes", () => {
    const start = performance.now();
    const lookup = (): string => "a".repeat(100_000);
    expect(() => expandWord("${A//*a*a*a*a/b}", { escape: "\\", lookup })).toThrow("invalid pattern");
    expect(performance.now() - start).toBeLessThan(500);
  });
});

test("all words of a file together have a budget", () => {
  const budget = new ExpansionBudget();
  const value = "a".repeat(2000);
  const start = performance.now();
  const spendAll = (): void => {
    for (let i = 0; i < 1000; i++) expandWord("${A//*b/x}", { escape: "\\", budget, lookup: () => value });
  };
  expect(spendAll).toThrow("take too long to expand");
  expect(performance.now() - start).toBeLessThan(8000);
});

describe("expandWords", () => {
  test.each([
    ["80", ["80"]],
    ["$LIST", ["a", "b"]],
    ["x$LIST", ["x", "a", "b"]],
    ["${LIST}y", ["a", "b", "y"]],
    ['"$LIST"', [" a b "]],
    [String.raw`a\ b`, ["a b"]],
    ["$NONE", []],
    ['""', [""]],
  ])("%s becomes %p", (word, want) => {
    expect(expandWords(word, { escape: "\\", lookup: (name) => env[name] })).toEqual(want);
  });
});
