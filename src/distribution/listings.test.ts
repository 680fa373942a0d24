import { expect, test } from "bun:test";
import { parseDigest } from "../lib/index.ts";
import { nextLink, referrersTag } from "./listings.ts";

test.each([
  ['</v2/a/tags/list?last=x&n=10>; rel="next"', "/v2/a/tags/list?last=x&n=10"],
  ["</v2/_catalog?last=x>; rel=next", "/v2/_catalog?last=x"],
  ['<https://r.example/x>; title="a"; REL="Next"', "https://r.example/x"],
  ['</first>; rel="first", </n,ext>; rel="next"', "/n,ext"],
  ['</both>; rel="prev next"', "/both"],
  ['</other>; rel="nextpage"', undefined],
  ['</other>; rel="prev"', undefined],
  ["</none>", undefined],
  ["</none; rel=next", undefined],
  ["rel=next", undefined],
  ["", undefined],
])("the next page of %j", (header, expected) => {
  expect(nextLink(header)).toBe(expected);
});

test("no header, and hostile ones", () => {
  expect(nextLink(null)).toBeUndefined();
  const started = performance.now();
  for (const piece of ["<", "<>", '<>; rel="', "<a>;rel= ", '; rel="a ']) nextLink(piece.repeat(100_000));
  nextLink(`<a>${'; rel="a '.repeat(2_000)}`);
  nextLink(`<a>;${" ".repeat(9_000)}`);
  expect(performance.now() - started).toBeLessThan(1_000);
});

test("the tag of the referrers tag schema: at most 32 and 64 characters of the digest's parts", () => {
  const hex = "0123456789abcdef".repeat(4);
  expect(referrersTag(parseDigest(`sha256:${hex}`))).toBe(`sha256-${hex}`);
  expect(referrersTag(parseDigest(`sha512:${hex}${hex}`))).toBe(`sha512-${hex}`);
});
