import { expect, test } from "bun:test";
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts";

test.each([
  ["ctrl-p,ctrl-q", [16, 17]],
  ["a,ctrl-@", [97, 0]],
  ["ctrl-[,ctrl-_", [27, 31]],
] as const)("keys of %s", (text, keys) => {
  expect(parseDetachKeys(text)).toEqual([...keys]);
});

test.each(["ctrl-1", "", "ab"])("no key: %j", (text) => {
  expect(() => parseDetachKeys(text)).toThrow("invalid escape keys");
});

/** What is passed on of each piece typed; `!` where the session is left. */
function type(...pieces: string[]): string[] {
  const scanner = new DetachScanner(parseDetachKeys("ctrl-p,ctrl-q"));
  return pieces.map((piece) => {
    const { pass, detached } = scanner.push(Buffer.from(piece));
    return Buffer.from(pass).toString() + (detached ? "!" : "");
  });
}

test("the sequence leaves, whether typed at once or key by key", () => {
  expect(type("ab\x10\x11cd")).toEqual(["ab!"]);
  expect(type("\x10", "\x11")).toEqual(["", "!"]);
});

test("a beginning that is no sequence is passed on with the next key", () => {
  expect(type("\x10", "x")).toEqual(["", "\x10x"]);
  expect(type("\x10", "\x10", "\x11")).toEqual(["", "\x10", "!"]);
});
