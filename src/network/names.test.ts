import { expect, test } from "bun:test";
import { bridgeName, bridgeNumber, isVethName, tableName, vethName } from "./names.ts";

const id = "0123456789abcdef".repeat(4);
const instances = ["", "12ab34", "000000"] as const;

test("names fit an interface and say whose they are", () => {
  expect(
    instances.map((instance) => [
      bridgeName(instance, 0),
      bridgeName(instance, 12),
      vethName(instance, id, 1023),
      tableName(instance),
    ]),
  ).toEqual([
    ["gantry0", "gantry12", "gv012345673ff", "gantry"],
    ["g12ab340", "g12ab3412", "gv12ab34d4yv3ff", "gantry-12ab34"],
    ["g0000000", "g00000012", "gv000000d4yv3ff", "gantry-000000"],
  ]);
  for (const instance of instances) {
    expect(vethName(instance, "f".repeat(64), 1023).length).toBeLessThanOrEqual(15);
    expect(bridgeName(instance, 99_999).length).toBeLessThanOrEqual(15);
  }
});

test("no engine takes another's things for its own", () => {
  for (const mine of instances) {
    for (const other of instances) {
      expect([isVethName(mine, vethName(other, id, 1)), bridgeNumber(mine, bridgeName(other, 7))]).toEqual([
        mine === other,
        mine === other ? 7 : undefined,
      ]);
    }
    for (const foreign of [
      "docker0",
      "br-0123456789ab",
      "veth01234",
      "gantry",
      "gantry01",
      "gantryx",
      "gv",
      "eth0",
    ]) {
      expect([isVethName(mine, foreign), bridgeNumber(mine, foreign)]).toEqual([false, undefined]);
    }
  }
});
