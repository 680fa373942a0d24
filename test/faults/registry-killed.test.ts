/** The short form of registry-killed.ts. */
import { expect, test } from "bun:test";
import { killRegistry } from "./registry-killed.ts";

test.each(["disk", "s3"] as const)(
  "the registry is killed and nothing acknowledged is lost: %s",
  async (kind) => {
    const report = await killRegistry(kind, 6);
    expect(report.wrong).toEqual([]);
    expect(report.stored).toBe(report.needed);
    expect(report.acknowledged).toBeGreaterThan(6);
  },
  60_000,
);
