import { expect, test } from "bun:test";
import { base64, jsonText } from "./json-text.ts";

test("plain values read as JSON.stringify writes them", () => {
  const value = { a: [1, "x", true, null, {}], b: { c: [], d: -1.5 } };
  expect(jsonText(value)).toBe(JSON.stringify(value));
  expect(jsonText(value, "\t")).toBe(JSON.stringify(value, undefined, "\t"));
  expect(jsonText(value, "    ")).toBe(JSON.stringify(value, undefined, 4));
});

test("64 bit counters are written in full", () => {
  expect(jsonText({ limit: 9223372036854771712n, all: [18446744073709551615n] })).toBe(
    '{"limit":9223372036854771712,"all":[18446744073709551615]}',
  );
});

test("undefined fields are left out, text is escaped as Go does", () => {
  expect(jsonText({ a: undefined, b: "<a & b>\u2028" })).toBe('{"b":"\\u003ca \\u0026 b\\u003e\\u2028"}');
  expect(jsonText({ a: undefined })).toBe("{}");
});

test("base64 agrees with the platform's", () => {
  for (let length = 0; length < 10; length++) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 77 + 200) & 255);
    expect(base64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
  }
  expect(jsonText({ program: Uint8Array.of(1, 2) })).toBe('{"program":"AQI="}');
});
