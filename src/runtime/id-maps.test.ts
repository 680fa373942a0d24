import { expect, test } from "bun:test";
import { isOwnIdOnly, mapText, outsideId, rootId } from "./id-maps.ts";

const maps = [
  { containerID: 0, hostID: 1000, size: 1 },
  { containerID: 1, hostID: 100_000, size: 10 },
];

test("as the kernel's file has them", () => {
  expect(mapText(maps)).toBe("0 1000 1\n1 100000 10\n");
  expect(mapText([])).toBe("");
});

test.each([
  [0, 1000],
  [1, 100_000],
  [10, 100_009],
  [11, undefined],
  [-1, undefined],
])("%d is %p outside", (id, outside) => expect(outsideId(maps, id)).toBe(outside));

test.each([
  ["0 where it is mapped", maps, 5, 0],
  ["0 where the maps are not known", [], 5, 0],
  ["the wanted one without 0", [{ containerID: 5, hostID: 9, size: 3 }], 6, 6],
  ["the first one when the wanted is not mapped", [{ containerID: 5, hostID: 9, size: 3 }], 60, 5],
] as const)("root is %s", (_, all, wanted, root) => expect(rootId(all, wanted)).toBe(root));

test.each([
  [[{ containerID: 0, hostID: 7, size: 1 }], true],
  [[{ containerID: 3, hostID: 7, size: 1 }], true],
  [[{ containerID: 0, hostID: 8, size: 1 }], false],
  [[{ containerID: 0, hostID: 7, size: 2 }], false],
  [maps, false],
  [[], false],
])("%j is the own id only: %p", (all, own) => expect(isOwnIdOnly(all, 7)).toBe(own));
