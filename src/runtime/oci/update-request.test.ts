import { expect, test } from "bun:test";
import { commands } from "./commands.ts";
import { parseFlags } from "./flags.ts";
import { parseResources, resourcesOfFlags } from "./update-request.ts";

const asked = (...words: string[]) => resourcesOfFlags(parseFlags(commands["update"]?.flags ?? {}, words));

test.each([
  [["--memory", "50M"], { memory: { limit: 52_428_800 } }],
  [["--memory", "-1", "--memory-swap", "-1"], { memory: { limit: -1, swap: -1 } }],
  [["--memory-reservation=1g"], { memory: { reservation: 1 << 30 } }],
  [["--kernel-memory", "5M", "--kernel-memory-tcp", "1"], { memory: { kernel: 5 << 20, kernelTCP: 1 } }],
  [
    ["--cpu-share", "200", "--cpu-period", "900000", "--cpu-quota", "-1", "--cpu-burst", "0"],
    { cpu: { shares: 200, period: 900_000, quota: -1, burst: 0 } },
  ],
  [["--cpu-rt-period", "5", "--cpu-rt-runtime", "-1"], { cpu: { realtimePeriod: 5, realtimeRuntime: -1 } }],
  [
    ["--cpuset-cpus", "0-1", "--cpuset-mems", "0", "--cpu-idle", "1"],
    { cpu: { cpus: "0-1", mems: "0", idle: 1 } },
  ],
  [["--pids-limit", "10", "--blkio-weight", "500"], { pids: { limit: 10 }, blockIO: { weight: 500 } }],
  [["--pids-limit", "0"], { pids: { limit: 1 } }],
  [["--blkio-weight", "0", "--memory", ""], {}],
  [[], {}],
])("%j is %j", (words, resources) => expect(asked(...words)).toEqual(resources));

test.each([
  [["--memory", "abc"], "invalid value for memory: invalid size: 'abc'"],
  [["--memory-swap", "5x"], "invalid value for memory-swap: invalid suffix: 'x'"],
  [["--cpu-share", "x"], 'invalid value for cpu-share: parsing "x": invalid syntax'],
  [["--cpu-share", "-1"], 'invalid value for cpu-share: parsing "-1": invalid syntax'],
  [["--cpu-quota", "1.5"], 'invalid value for cpu-quota: parsing "1.5": invalid syntax'],
  [["--pids-limit", "99999999999999999999"], "parse error"],
  [["--nope", "1"], "flag provided but not defined: -nope"],
])("%j is refused: %s", (words, problem) => expect(() => asked(...words)).toThrow(problem));

test("a file of resources: names in any case, as Go reads them; null is nothing; unified keeps its names", () => {
  expect(
    parseResources(
      '{"CPU": {"Cpus": "1", "realtimeperiod": 5}, "memory": null, "unified": {"CPU": "x"}}',
      "FILE",
    ),
  ).toEqual({ cpu: { cpus: "1", realtimePeriod: 5 }, unified: { CPU: "x" } });
  expect(() => parseResources("{", "FILE")).toThrow("FILE is not valid JSON");
  for (const text of ["5", "[]", "null", '"x"'])
    expect(() => parseResources(text, "FILE")).toThrow("FILE: must be an object");
});
