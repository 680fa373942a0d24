import { expect, test } from "bun:test";
import { goDuration, plainList, quoteHealthcheck, quoteList } from "./quote.ts";

test.each([
  [0, "0s"],
  [5, "5ns"],
  [1500, "1.5µs"],
  [5e8, "500ms"],
  [1.5e9, "1.5s"],
  [90e9, "1m30s"],
  [3600e9, "1h0m0s"],
  [3725e9, "1h2m5s"],
])("%i ns is %s", (ns, want) => {
  expect(goDuration(ns)).toBe(want);
});

test("lists as Go prints them", () => {
  expect(quoteList(["/bin/sh", "-c", 'a "b"'])).toBe('["/bin/sh" "-c" "a \\"b\\""]');
  expect(plainList(["/a", "/b"])).toBe("[/a /b]");
  expect(quoteHealthcheck({ Test: ["CMD-SHELL", "x"], Interval: 30e9, Retries: 3 })).toBe(
    `&{["CMD-SHELL" "x"] "30s" "0s" "0s" "0s" '\\x03'}`,
  );
});
