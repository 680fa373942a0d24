import { expect, test } from "bun:test";
import { parseContentRange, parseRange } from "./byte-range.ts";
import { parseRoute } from "./route.ts";

const digest = `sha256:${"a".repeat(64)}`;

test.each([
  ["/v2", { kind: "ping" }],
  ["/v2/", { kind: "ping" }],
  ["/v2/_catalog", { kind: "catalog" }],
  ["/v3/", { kind: "other" }],
  ["/v2/a/b/tags/list", { kind: "tags", repository: "a/b" }],
  ["/v2/a/b/blobs/uploads/", { kind: "uploads", repository: "a/b" }],
  ["/v2/a/blobs/uploads", { kind: "uploads", repository: "a" }],
  ["/v2/a/blobs/uploads/x-1", { kind: "upload", repository: "a", reference: "x-1" }],
  [`/v2/a/blobs/${digest}`, { kind: "blob", repository: "a", reference: digest }],
  [`/v2/a/blobs/${digest.replace(":", "%3A")}`, { kind: "blob", repository: "a", reference: digest }],
  ["/v2/a/manifests/v1", { kind: "manifest", repository: "a", reference: "v1" }],
  [
    "/v2/manifests/blobs/uploads/manifests/v1",
    { kind: "manifest", repository: "manifests/blobs/uploads", reference: "v1" },
  ],
  [`/v2/tags/list/referrers/${digest}`, { kind: "referrers", repository: "tags/list", reference: digest }],
  ["/v2/a/b", { kind: "other" }],
])("%s", (path, route) => {
  expect(parseRoute(path)).toEqual(route as ReturnType<typeof parseRoute>);
});

test.each([
  "/v2/A/tags/list",
  "/v2//tags/list",
  "/v2/a//b/tags/list",
  "/v2/../tags/list",
  "/v2/a%2/tags/list",
])("%s names no repository", (path) => {
  expect(() => parseRoute(path)).toThrow(expect.objectContaining({ code: "NAME_INVALID" }));
});

test.each([
  [null, undefined],
  ["bytes=0-0", { start: 0, end: 0 }],
  ["bytes=5-", { start: 5, end: 9 }],
  ["bytes=5-99", { start: 5, end: 9 }],
  ["bytes=-3", { start: 7, end: 9 }],
  ["bytes=-30", { start: 0, end: 9 }],
  ["bytes=0-1,3-4", undefined],
  ["lines=0-1", undefined],
  ["bytes=-", undefined],
])("range %p of ten bytes", (header, range) => {
  expect(parseRange(header, 10)).toEqual(range);
});

test.each([
  ["bytes=10-", 10],
  ["bytes=-0", 10],
  ["bytes=5-4", 10],
  ["bytes=0-", 0],
])("range %s of %d bytes is not there", (header, size) => {
  expect(() => parseRange(header, size)).toThrow(expect.objectContaining({ status: 416 }));
});

test("the range of a chunk is that of its bytes", () => {
  expect(parseContentRange(null, 3)).toBeUndefined();
  expect(parseContentRange("0-2", 3)).toEqual({ start: 0, end: 2 });
  expect(parseContentRange("bytes 4-6/*", undefined)).toEqual({ start: 4, end: 6 });
  for (const [header, status] of [
    ["0-2", 416],
    ["3-2", 416],
    ["a-b", 400],
    ["-2", 400],
  ] as const)
    expect(() => parseContentRange(header, 4)).toThrow(expect.objectContaining({ status }));
});
