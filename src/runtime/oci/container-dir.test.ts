import { expect, test } from "bun:test";
import { ContainerDir, parseProcess } from "./container-dir.ts";
import { parseStat } from "./process-identity.ts";

test("ids", () => {
  for (const id of ["a", "A_b+c-d.e", "0", "x".repeat(1024)])
    expect(new ContainerDir("/r", id).path).toBe(`/r/${id}`);
  for (const id of ["", ".", "..", "a/b", "a b", "ä", "a\n", "x".repeat(1025)])
    expect(() => new ContainerDir("/r", id), id).toThrow(/container id/i);
});

test.each([
  ["running 12 345 11\n", { pid: 12, startTime: "345" }],
  ["exited 0 0 0 1 0\n", undefined],
  ["failed 3 2\n", undefined],
  ["", undefined],
  ["running 0 1 1", undefined],
] as const)("gantry-init's %j", (text, want) => {
  expect(parseProcess(text)).toEqual(want as never);
});

test("a process's name may hold anything", () => {
  const rest = Array.from({ length: 30 }, (_, index) => String(index + 4)).join(" ");
  expect(parseStat(`7 (a) b (c)) S ${rest}`)).toEqual({ state: "S", startTime: "22", name: "a) b (c)" });
});
