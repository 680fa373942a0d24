import { describe, expect, test } from "bun:test";
import type { HealthState, ProbeResult } from "../container.ts";
import { afterProbe, ProbeOutput, probePlan, startingHealth, untilNextProbe } from "./health-state.ts";
import { mergeHealthcheck } from "./merge-healthcheck.ts";

const second = 1_000_000_000;
const result = (exitCode: number): ProbeResult => ({ startMs: 1, endMs: 2, exitCode, output: "" });
const run = (
  codes: readonly number[],
  rules: { retries: number; startPeriodMs: number },
  sinceMs = 0,
): HealthState =>
  codes.reduce((health, code) => afterProbe(health, result(code), rules, sinceMs), startingHealth);

describe("health", () => {
  const rules = { retries: 3, startPeriodMs: 0 };
  test.each([
    [[0], "healthy", 0],
    [[1, 1], "starting", 2],
    [[1, 1, 1], "unhealthy", 3],
    [[0, 1, 1], "healthy", 2],
    [[1, 1, 1, 0], "healthy", 0],
    [[0, -1, -1, 127, 1], "unhealthy", 4],
  ] as const)("after %p: %s, failing streak %d", (codes, status, failingStreak) => {
    expect(run(codes, rules)).toMatchObject({ status, failingStreak });
  });

  test("failures of the start period do not count until it was well once", () => {
    const young = { retries: 1, startPeriodMs: 1000 };
    expect(run([1, 1, 1], young, 500)).toMatchObject({ status: "starting", failingStreak: 0 });
    expect(run([1], young, 1000)).toMatchObject({ status: "unhealthy", failingStreak: 1 });
    expect(run([0, 1], young, 500)).toMatchObject({ status: "unhealthy" });
  });

  test("the last five results are kept", () => {
    expect(run([1, 2, 3, 4, 5, 6, 7], rules).log.map(({ exitCode }) => exitCode)).toEqual([3, 4, 5, 6, 7]);
  });
});

test("a plan has docker's usual values; NONE and nothing are none", () => {
  expect(probePlan({ Test: ["CMD-SHELL", "a || b"] })).toEqual({
    command: ["/bin/sh", "-c", "a || b"],
    intervalMs: 30_000,
    timeoutMs: 30_000,
    startPeriodMs: 0,
    startIntervalMs: 5000,
    retries: 3,
  });
  const plan = probePlan(
    {
      Test: ["CMD-SHELL", "a"],
      Interval: second,
      Timeout: 2 * second,
      StartPeriod: 3 * second,
      StartInterval: 5e8,
      Retries: 7,
    },
    ["/bin/bash", "-ec"],
  );
  expect(plan).toEqual({
    command: ["/bin/bash", "-ec", "a"],
    intervalMs: 1000,
    timeoutMs: 2000,
    startPeriodMs: 3000,
    startIntervalMs: 500,
    retries: 7,
  });
  if (plan === undefined) throw new Error("no plan");
  expect(untilNextProbe(startingHealth, plan, 2999)).toBe(500);
  expect(untilNextProbe(startingHealth, plan, 3000)).toBe(1000);
  expect(untilNextProbe({ ...startingHealth, status: "healthy" }, plan, 0)).toBe(1000);
  for (const check of [undefined, { Test: [] }, { Test: ["NONE"] }]) expect(probePlan(check)).toBeUndefined();
});

test("what a container leaves open comes from its image", () => {
  const image = { Test: ["CMD", "x"], Interval: 1, Retries: 2 };
  expect(mergeHealthcheck(undefined, image)).toMatchObject(image);
  expect(mergeHealthcheck({ Test: [], Interval: 9 }, image)).toMatchObject({ ...image, Interval: 9 });
  expect(mergeHealthcheck({ Test: ["NONE"] }, image)).toMatchObject({ Test: ["NONE"] });
  expect(mergeHealthcheck(undefined, undefined)).toBeUndefined();
});

test("of a probe's output the first 4 KiB are kept", () => {
  const output = new ProbeOutput();
  for (let i = 0; i < 1000; i++) output.add(Buffer.alloc(100, "x"));
  expect(output.toString()).toBe(`${"x".repeat(4096)}...`);
});
