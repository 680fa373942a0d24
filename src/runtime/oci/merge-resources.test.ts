import { expect, test } from "bun:test";
import { mergeResources } from "./merge-resources.ts";

const old = {
  devices: [{ allow: false, access: "rwm" }],
  memory: { limit: 32, reservation: 24, swap: 64 },
  cpu: { shares: 100, quota: 500, period: 1000 },
  pids: { limit: 20 },
};

test.each([
  ["a limit alone", { memory: { limit: 50 } }, { memory: { limit: 50 } }],
  ["a sum needs the limit", { memory: { swap: 99 } }, { memory: { swap: 99, limit: 32 } }],
  ["no limit means none for the sum", { memory: { limit: -1 } }, { memory: { limit: -1, swap: -1 } }],
  ["an own word for the sum", { memory: { limit: -1, swap: 7 } }, { memory: { limit: -1, swap: 7 } }],
  ["kernel memory is dropped", { memory: { kernel: 5, kernelTCP: 6 } }, { memory: {} }],
  ["a period takes the old quota", { cpu: { period: 900 } }, { cpu: { quota: 500, period: 900 } }],
  ["a quota takes the old period", { cpu: { quota: 600 } }, { cpu: { quota: 600, period: 1000 } }],
  ["0 leaves both", { cpu: { quota: 0, shares: 5 } }, { cpu: { quota: 0, shares: 5 } }],
  ["idle alone", { cpu: { idle: 1 } }, { cpu: { idle: 1 } }],
  ["pids", { pids: { limit: -1 } }, { pids: { limit: -1 } }],
])("%s: what is written", (_, asked, change) => {
  expect(mergeResources(old, asked).change).toEqual(change);
});

test("what is kept: the old with the new on top; device rules stay as they are", () => {
  const { kept, change } = mergeResources(old, {
    devices: [{ allow: true, access: "rwm" }],
    memory: { reservation: 30 },
    cpu: { period: 900 },
    unified: { "pids.max": "10" },
  });
  expect(kept).toEqual({
    ...old,
    memory: { limit: 32, reservation: 30, swap: 64 },
    cpu: { shares: 100, quota: 500, period: 900 },
    unified: { "pids.max": "10" },
  });
  expect(change.devices).toBeUndefined();
});

test("entries of the same device replace each other, the last of doubles counts", () => {
  const rate = (value: number, minor = 0) => ({ major: 8, minor, rate: value });
  const { kept, change } = mergeResources(
    { blockIO: { weight: 100, throttleReadBpsDevice: [rate(1), rate(2), rate(3, 16)] } },
    { blockIO: { throttleReadBpsDevice: [rate(9)], throttleWriteBpsDevice: [rate(7)] } },
  );
  expect(kept.blockIO).toEqual({
    weight: 100,
    throttleReadBpsDevice: [rate(9), rate(3, 16)],
    throttleWriteBpsDevice: [rate(7)],
  });
  expect(change.blockIO).toEqual({ throttleReadBpsDevice: [rate(9)], throttleWriteBpsDevice: [rate(7)] });
});
