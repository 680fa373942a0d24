import { describe, expect, test } from "bun:test";
import { initialState } from "../container.ts";
import { formatDuration } from "./format-duration.ts";
import { statusText } from "./wire-state.ts";

const second = 1000;
const hour = 3600 * second;

describe("formatDuration", () => {
  test.each([
    [500, "Less than a second"],
    [second, "1 second"],
    [59 * second, "59 seconds"],
    [60 * second, "About a minute"],
    [46 * 60 * second, "46 minutes"],
    [hour, "About an hour"],
    [47 * hour, "47 hours"],
    [48 * hour, "2 days"],
    [14 * 24 * hour, "2 weeks"],
    [61 * 24 * hour, "2 months"],
    [3 * 365 * 24 * hour, "3 years"],
  ] as const)("%i ms is %s", (ms, want) => expect(formatDuration(ms)).toBe(want));
});

describe("statusText", () => {
  const now = 1_700_000_000_000;
  test.each([
    [{ status: "created" }, "Created"],
    [{ status: "running", startedAtMs: now - 5 * second }, "Up 5 seconds"],
    [{ status: "paused", startedAtMs: now - 5 * second }, "Up 5 seconds (Paused)"],
    [{ status: "exited", exitCode: 137, finishedAtMs: now - hour }, "Exited (137) About an hour ago"],
    [{ status: "restarting", exitCode: 1, finishedAtMs: now - 2 * second }, "Restarting (1) 2 seconds ago"],
  ] as const)("%o", (change, want) => expect(statusText({ ...initialState, ...change }, now)).toBe(want));
});
