import { expect, test } from "bun:test";
import { parseRate, TokenBuckets } from "./token-bucket.ts";

test.each([
  ["20/s", { count: 20, periodMs: 1000 }],
  ["600/m", { count: 600, periodMs: 60_000 }],
  ["0", undefined],
  ["", undefined],
] as const)("rate %s", (text, wanted) => {
  expect(parseRate(text)).toEqual(wanted);
});

test.each(["-1/s", "1/y", "1", "s", "1/ s", "1e9/s"])("%s is no rate", (text) => {
  expect(() => parseRate(text)).toThrow("is no rate");
});

test("so many at once, then as they come back", () => {
  let now = 0;
  const buckets = new TokenBuckets({ count: 2, periodMs: 1000 }, () => now);
  expect(buckets.take("a")).toEqual({ allowed: true, remaining: 1, waitMs: 0 });
  expect(buckets.take("a").allowed).toBe(true);
  expect(buckets.take("a")).toEqual({ allowed: false, remaining: 0, waitMs: 500 });
  expect(buckets.take("b").allowed).toBe(true);
  now = 500;
  expect(buckets.take("a").allowed).toBe(true);
  now = 1_000_000;
  expect(buckets.take("a").remaining).toBe(1);
});
