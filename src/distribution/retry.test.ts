import { expect, test } from "bun:test";
import { delayBefore, isPassing, retryAfterMs, type RetryPolicy } from "./retry.ts";

const policy: RetryPolicy = { tries: 4, firstDelayMs: 100, maxDelayMs: 250, maxRetryAfterMs: 5_000 };

test("Retry-After: seconds, dates, nonsense", () => {
  const now = Date.parse("2026-11-25T03:00:00Z");
  expect(retryAfterMs(null, now)).toBeUndefined();
  expect(retryAfterMs("7", now)).toBe(7_000);
  expect(retryAfterMs(" 0 ", now)).toBe(0);
  expect(retryAfterMs("Wed, 25 Nov 2026 03:00:09 GMT", now)).toBe(9_000);
  // In the past: at once.
  expect(retryAfterMs("Wed, 25 Nov 2026 02:00:00 GMT", now)).toBe(0);
  for (const text of ["", "soon", "-1", "1e9", "99999999999999999999", "1.5"])
    expect(retryAfterMs(text, now) ?? "none").toBe("none");
});

test("delays double, end at the most, and the tries end", () => {
  expect([1, 2, 3, 4].map((tried) => delayBefore(policy, tried, undefined, 1))).toEqual([
    100,
    200,
    250,
    undefined,
  ]);
  expect(delayBefore(policy, 1, undefined, 0)).toBe(50);
});

test("a registry's own word is kept to, as long as it is bearable", () => {
  expect(delayBefore(policy, 1, 3_000, 0)).toBe(3_000);
  expect(delayBefore(policy, 1, 3_000, 0.5)).toBe(3_050);
  expect(delayBefore(policy, 1, 5_001, 0)).toBeUndefined();
  // "At once" each time must not become a storm.
  expect(delayBefore(policy, 3, 0, 1)).toBe(250);
});

test("what passes and what does not", () => {
  expect([408, 429, 500, 502, 503, 504].every(isPassing)).toBe(true);
  expect([200, 301, 400, 401, 403, 404, 409, 413, 416, 501, 507].some(isPassing)).toBe(false);
});
