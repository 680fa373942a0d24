import { describe, expect, test } from "bun:test";
import { fitsName, parseFilters } from "./filters.ts";
import { flagOf, numberOf, timeOf } from "./query.ts";

const known = ["label", "label!", "name", "dangling", "before"];

describe("filters", () => {
  test.each([
    ["", undefined],
    [null, undefined],
    ['{"name":["a","b"]}', ["a", "b"]],
    ['{"name":{"a":true,"b":true}}', ["a", "b"]],
  ])("%j", (text, names) => {
    const filters = parseFilters(text, known);
    expect(filters.has("name")).toBe(names !== undefined);
    expect(filters.values("name")).toEqual(names ?? []);
  });

  test.each([
    ["[]", "invalid filter"],
    ["{", "not JSON"],
    ['{"nope":["x"]}', "invalid filter 'nope'"],
    ['{"name":[1]}', "invalid filter 'name'"],
    [JSON.stringify({ name: Array.from({ length: 1001 }, () => "x") }), "more than 1000"],
  ])("refused: %s", (text, message) => {
    expect(() => parseFilters(text, known)).toThrow(message);
  });

  const labels = { a: "1", b: "", "c=d": "e" };
  test.each([
    ['{"label":["a"]}', true],
    ['{"label":["a=1","b"]}', true],
    ['{"label":["a=2"]}', false],
    ['{"label":["z"]}', false],
    ['{"label":["toString"]}', false],
    ['{"label!":["a=1"]}', false],
    ['{"label!":["z"],"label":["b="]}', true],
  ])("labels %s", (text, want) => {
    expect(parseFilters(text, known).labels(labels)).toBe(want);
  });

  test("flags", () => {
    expect(parseFilters('{"dangling":["true"]}', known).flag("dangling")).toBe(true);
    expect(parseFilters('{"dangling":["0"]}', known).flag("dangling")).toBe(false);
    expect(parseFilters("", known).flag("dangling")).toBeUndefined();
    expect(() => parseFilters('{"dangling":["maybe"]}', known).flag("dangling")).toThrow("invalid filter");
    expect(() => parseFilters('{"dangling":["1","0"]}', known).flag("dangling")).toThrow("invalid filter");
    expect(() => parseFilters('{"before":["1","0"]}', known).one("before")).toThrow("one value");
  });

  test.each([
    ["we", "web", true],
    ["^web$", "web", true],
    ["^web$", "web2", false],
    ["w[", "web", false],
    ["a.b", "a-b", true],
    ["(a+)+$", `${"a".repeat(60)}!`, false],
  ])("name %s on %s", (pattern, name, want) => {
    expect(fitsName(pattern, name)).toBe(want);
  });
});

describe("query", () => {
  test.each([
    ["x=1", true],
    ["x=true", true],
    ["x=0", false],
    ["x=False", false],
    ["x=", false],
    ["", false],
  ])("flag %j", (text, want) => expect(flagOf(new URLSearchParams(text), "x")).toBe(want));

  test("numbers", () => {
    expect(numberOf(new URLSearchParams("t=-1"), "t")).toBe(-1);
    expect(numberOf(new URLSearchParams(""), "t")).toBeUndefined();
    expect(() => numberOf(new URLSearchParams("t=1x"), "t")).toThrow("invalid value for t");
  });

  test.each([
    ["", 0n],
    ["0", 0n],
    ["1700000000", 1_700_000_000_000_000_000n],
    ["1700000000.5", 1_700_000_000_500_000_000n],
    ["1700000000.000000001", 1_700_000_000_000_000_001n],
    ["2023-11-14T22:13:20.25Z", 1_700_000_000_250_000_000n],
  ])("time %j", (text, want) => expect(timeOf(new URLSearchParams({ t: text }), "t")).toBe(want));

  test("no time", () =>
    expect(() => timeOf(new URLSearchParams("t=yesterday"), "t")).toThrow("is not a time"));
});
