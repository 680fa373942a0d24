import { expect, test } from "bun:test";
import { checkAvailable } from "./cpuset.ts";
import { defaultHostConfig } from "./create-defaults.ts";
import { fitLimits, type LimitAbilities } from "./limit-abilities.ts";

const all: LimitAbilities = {
  swap: true,
  swappiness: true,
  oomKillDisable: true,
  tcpMemory: true,
  realtime: true,
  ioWeight: true,
  cpus: "0-3",
  mems: "0",
};

test.each([
  ["as much swap as memory", { Memory: 10 }, {}, { MemorySwap: 20 }, 0],
  ["swap as it was asked for", { Memory: 10, MemorySwap: 15 }, {}, {}, 0],
  ["no swap accounting", { Memory: 10, MemorySwap: 15 }, { swap: false }, { MemorySwap: -1 }, 1],
  ["no swappiness of its own", { MemorySwappiness: 0 }, { swappiness: false }, { MemorySwappiness: null }, 1],
  ["the OOM killer stays", { OomKillDisable: true }, { oomKillDisable: false }, { OomKillDisable: false }, 1],
  ["no OOM killer and no limit is a danger", { OomKillDisable: true }, {}, {}, 1],
  ["no weights", { BlkioWeight: 10 }, { ioWeight: false }, { BlkioWeight: 0 }, 1],
  ["nothing asked for, nothing lacking", {}, { swap: false, ioWeight: false, swappiness: false }, {}, 0],
] as const)("%s", (_, asked, abilities, change, warnings) => {
  const fit = fitLimits({ ...defaultHostConfig, ...asked }, { ...all, ...abilities });
  expect(fit.change).toEqual(change);
  expect(fit.warnings).toHaveLength(warnings);
});

test("processors that are not there are refused in dockerd's words", () => {
  checkAvailable("0-1,3", "0-3", "CPUs");
  expect(() => checkAvailable("0-4", "0-3", "CPUs")).toThrow(
    "Requested CPUs are not available - requested 0-4, available: 0-3",
  );
  expect(() => checkAvailable("3-1", "0-3", "CPUs")).toThrow("invalid range: 3-1");
});
