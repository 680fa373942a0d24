import { describe, expect, test } from "bun:test";
import { nextRestart, startsWithEngine } from "./restart-policy.ts";

const ended = { exitCode: 1, ranMs: 5, restartCount: 0, stoppedByUser: false };
const cases = [
  { name: "no", policy: "no", max: 0, ending: ended, last: 0, want: undefined },
  {
    name: "always after success",
    policy: "always",
    max: 0,
    ending: { ...ended, exitCode: 0 },
    last: 0,
    want: 100,
  },
  {
    name: "always stopped by the user",
    policy: "always",
    max: 0,
    ending: { ...ended, stoppedByUser: true },
    last: 0,
    want: undefined,
  },
  { name: "the delay doubles", policy: "always", max: 0, ending: ended, last: 400, want: 800 },
  { name: "up to a minute", policy: "always", max: 0, ending: ended, last: 50_000, want: 60_000 },
  {
    name: "a long run resets it",
    policy: "always",
    max: 0,
    ending: { ...ended, ranMs: 10_000 },
    last: 60_000,
    want: 100,
  },
  {
    name: "on-failure after success",
    policy: "on-failure",
    max: 0,
    ending: { ...ended, exitCode: 0 },
    last: 0,
    want: undefined,
  },
  {
    name: "on-failure below its count",
    policy: "on-failure",
    max: 2,
    ending: { ...ended, restartCount: 1 },
    last: 100,
    want: 200,
  },
  {
    name: "on-failure at its count",
    policy: "on-failure",
    max: 2,
    ending: { ...ended, restartCount: 2 },
    last: 100,
    want: undefined,
  },
] as const;

describe("nextRestart", () => {
  test.each(cases)("$name", ({ policy, max, ending, last, want }) => {
    expect(nextRestart({ Name: policy, MaximumRetryCount: max }, ending, last)?.delayMs).toBe(want as never);
  });
});

test("unless-stopped remembers that the user stopped it, always does not", () => {
  expect(startsWithEngine({ Name: "always", MaximumRetryCount: 0 }, true)).toBe(true);
  expect(startsWithEngine({ Name: "unless-stopped", MaximumRetryCount: 0 }, true)).toBe(false);
  expect(startsWithEngine({ Name: "unless-stopped", MaximumRetryCount: 0 }, false)).toBe(true);
  expect(startsWithEngine({ Name: "on-failure", MaximumRetryCount: 0 }, false)).toBe(false);
});
