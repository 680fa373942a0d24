import { expect, test } from "bun:test";
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts";

test.each([
  ["", [16, 17]],
  ["a,ctrl-@", [97, 0]],
  ["ctrl-[,ctrl-_", [27, 31]],
] as const)("keys of %j", (text, keys) => {
  expect(parseDetachKeys(text)).toEqual([...keys]);
});

test.each(["ctrl-1", ",", "ab"])("no key: %j", (text) => {
  expect(() => parseDetachKeys(text)).toThrow("Invalid detach keys");
});

const typed = [
  { name: "at once", pieces: ["ab\x10\x11cd"], want: ["ab!"] },
  { name: "key by key", pieces: ["\x10", "\x11"], want: ["", "!"] },
  { name: "a beginning that is no sequence", pieces: ["\x10", "x"], want: ["", "\x10x"] },
  { name: "a doubled beginning", pieces: ["\x10", "\x10", "\x11"], want: ["", "\x10", "!"] },
  { name: "no key of it", pieces: ["plain text"], want: ["plain text"] },
] as const;

test.each(typed)("typing: $name", ({ pieces, want }) => {
  const scanner = new DetachScanner(parseDetachKeys(""));
  const got = pieces.map((piece) => {
    const { pass, detached } = scanner.push(Buffer.from(piece));
    return Buffer.from(pass).toString() + (detached ? "!" : "");
  });
  expect(got).toEqual([...want]);
});
