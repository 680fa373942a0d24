import { expect, test } from "bun:test";
import { parseSignal } from "./signals.ts";

test.each([
  ["TERM", 15],
  ["SIGTERM", 15],
  ["sigkill", 9],
  ["9", 9],
  ["SIGRTMIN", 34],
  ["RTMIN+3", 37],
  ["SIGRTMAX-1", 63],
] as const)("%s is %i", (text, want) => expect(parseSignal(text)).toBe(want));

test.each(["", "0", "65", "NOPE", "RTMIN-1", "RTMAX+1", "-1"])("%p is refused", (text) => {
  expect(() => parseSignal(text)).toThrow("invalid signal");
});
