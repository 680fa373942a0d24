import { expect, test } from "bun:test";
import { cpuLimits } from "./cpu-limits.ts";
import { formatSize } from "./format-size.ts";
import { networkKind } from "./network-mode.ts";
import { toRlimit } from "./ulimits.ts";

test("ulimits become rlimits, -1 is unlimited, unknown names are refused", () => {
  expect(toRlimit({ Name: "nofile", Soft: 10, Hard: -1 })).toEqual({
    type: "RLIMIT_NOFILE",
    soft: 10,
    hard: 2 ** 64,
  });
  expect(() => toRlimit({ Name: "files", Soft: 1, Hard: 1 })).toThrow("invalid ulimit type: files");
});

test.each([
  [
    { NanoCpus: 1.5e9, CpuQuota: 0, CpuPeriod: 0 },
    { quotaUs: 150_000, periodUs: 100_000 },
  ],
  [{ NanoCpus: 0, CpuQuota: 5000, CpuPeriod: 0 }, { quotaUs: 5000 }],
  [{ NanoCpus: 0, CpuQuota: 0, CpuPeriod: 0 }, {}],
] as const)("cpu limits of %o", (host, want) => expect(cpuLimits(host)).toEqual(want));

test.each([
  [1024, "1k"],
  [67_108_864, "64m"],
  [3 * 1024 ** 3, "3g"],
  [1500, "1500"],
] as const)("%i is %s", (bytes, want) => {
  expect(formatSize(bytes)).toBe(want);
});

test("network modes", () => {
  expect(networkKind("host")).toEqual({ kind: "host" });
  expect(networkKind("default")).toEqual({ kind: "bridge", network: "bridge" });
  expect(networkKind("mine")).toEqual({ kind: "bridge", network: "mine" });
});
