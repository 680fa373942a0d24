import { expect, test } from "bun:test";
import { timeQuery } from "../commands/logs.ts";
import { failureOf } from "./json-stream.ts";
import { lastError } from "./start-engine.ts";

test.each([
  [
    '{"level":"info","message":"a"}\n{"level":"error","message":"no room"}\n{"level":"info","message":"b"}\n',
    "no room",
  ],
  ["error: Cannot find module x\n\nBun v1\n", "Cannot find module x"],
  ["Killed\n", "Killed"],
  ["", ""],
])("the last complaint of a log", (text, message) => {
  expect(lastError(text)).toBe(message);
});

test.each([
  ["", undefined],
  ["1767323017.5", "1767323017.5"],
  ["2026-01-02T03:03:37Z", "1767323017.000000000"],
  ["2026-01-02T03:03:37.123456789Z", "1767323017.123456789"],
  ["2026-01-02T04:03:37+01:00", "1767323017.000000000"],
  ["10s", "1767323007.000000000"],
] as const)("--since %s", (text, seconds) => {
  expect(timeQuery("since", text, 1_767_323_017_000)).toBe(seconds);
});

test("--since nonsense is refused", () => {
  expect(() => timeQuery("since", "yesterday", 0)).toThrow('invalid value for "since"');
});

test("a failed build step gives its exit code", () => {
  expect(
    failureOf({ error: "x", errorDetail: { code: 2, message: "returned a non-zero code: 2" } }),
  ).toMatchObject({ exitCode: 2 });
  expect(failureOf({ error: "x" })).toMatchObject({ exitCode: 1, message: "x" });
  expect(failureOf({ stream: "x" })).toBeUndefined();
});
