import { expect, test } from "bun:test";
import { logLine } from "./log.ts";

const at = Date.UTC(2026, 10, 25, 1, 2, 3, 456);

test.each([
  [
    "error",
    'no "x"\nhere',
    true,
    '{"level":"error","msg":"no \\"x\\"\\nhere","time":"2026-11-25T01:02:03Z"}\n',
  ],
  ["error", 'no "x"', false, 'time="2026-11-25T01:02:03Z" level=error msg="no \\"x\\""\n'],
  ["debug", "word", false, 'time="2026-11-25T01:02:03Z" level=debug msg=word\n'],
] as const)("%s %j, JSON: %p", (level, message, json, line) => {
  expect(logLine(level, message, at, json)).toBe(line);
});
