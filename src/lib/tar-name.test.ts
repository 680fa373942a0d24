import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeName, encodeName, fsName, tarHeader, TarReader, tarTrailer } from "./index.ts";

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

test("any bytes come back, and UTF-8 is itself", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) =>
      expect(encodeName(decodeName(bytes)).equals(Buffer.from(bytes))).toBe(true),
    ),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => expect(decodeName(Buffer.from(text))).toBe(text)),
  );
});

test("different bytes are different names", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (a, b) =>
      expect(decodeName(a) === decodeName(b)).toBe(Buffer.from(a).equals(Buffer.from(b))),
    ),
    { numRuns: 2000 },
  );
});

test.each([
  ["latin 1", latin1("caf\xe9"), "caf\udce9"],
  ["an overlong slash", latin1("\xc0\xaf"), "\udcc0\udcaf"],
  ["a surrogate in UTF-8's way", latin1("\xed\xb3\xa9"), "\udced\udcb3\udca9"],
  ["beyond Unicode", latin1("\xf4\x90\x80\x80"), "\udcf4\udc90\udc80\udc80"],
  ["cut off", latin1("\xe2\x82"), "\udce2\udc82"],
  ["a byte order mark", latin1("\xef\xbb\xbfa"), "\ufeffa"],
])("%s", (_, bytes, text) => {
  expect(decodeName(bytes)).toBe(text);
  expect(typeof fsName(text)).toBe(text.isWellFormed() ? "string" : "object");
});

describe("in archives", () => {
  test("names and links that are not UTF-8 are written and read byte for byte, however long", () => {
    for (const length of [1, 98, 99, 300]) {
      const name = decodeName(latin1("\xe9".repeat(length)));
      const [header] = [tarHeader({ path: `d/${name}`, type: "symlink", linkPath: name })];
      const reader = new TarReader();
      const entries = [...reader.push(Buffer.concat([header, tarTrailer]))].filter(
        ({ kind }) => kind === "entry",
      );
      expect(entries[0]?.entry).toMatchObject({ path: `d/${name}`, linkPath: name });
      expect(Buffer.from(header).includes("hdrcharset=BINARY")).toBe(true);
    }
    expect(Buffer.from(tarHeader({ path: "d/é", type: "file" })).includes("hdrcharset")).toBe(false);
  });
});
