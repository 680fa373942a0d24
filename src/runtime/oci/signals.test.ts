import { expect, test } from "bun:test";
import { constants } from "node:os";
import { parseSignal } from "./signals.ts";

test("every name that the system knows has its number", () => {
  for (const [name, number] of Object.entries(constants.signals)) {
    expect(parseSignal(name), name).toBe(number);
    expect(parseSignal(name.slice(3).toLowerCase()), name).toBe(number);
  }
});

test.each([
  ["9", 9],
  ["0", 0],
  ["64", 64],
  ["sigKill", 9],
  ["RTMIN", 34],
  ["SIGRTMIN+3", 37],
  ["RTMAX-2", 62],
] as const)("%s is %p", (word, number) => {
  expect(parseSignal(word)).toBe(number);
});

test.each(["", "65", "-1", "SIG", "NOPE", "RTMIN-1", "RTMAX+1", "1e1", "SIGSIGKILL"])(
  "%j is none",
  (word) => {
    expect(() => parseSignal(word)).toThrow(`unknown signal ${JSON.stringify(word)}`);
  },
);
