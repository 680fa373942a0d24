import { expect, test } from "bun:test";
import { cgroupParent, containerPaths, defaultRoot, defaultState, enginePaths, slicePath } from "./paths.ts";

test("engines of other directories have another instance", () => {
  expect(enginePaths(defaultRoot, defaultState).instance).toBe("");
  const a = enginePaths("/a", "/b");
  expect(a.instance).toMatch(/^[0-9a-f]{6}$/);
  expect(a.instance).not.toBe(enginePaths("/a", "/c").instance);
  expect(cgroupParent(a)).toBe(`/gantry-${a.instance}`);
});

test("the monitor's socket fits a unix address in the longest state directory", () => {
  const state = `/${"s".repeat(52)}`;
  expect(
    Buffer.byteLength(containerPaths(enginePaths("/r", state), "a".repeat(64)).monitorSocket),
  ).toBeLessThanOrEqual(107);
  expect(() => enginePaths("/r", `${state}sss`)).toThrow("longer than");
  expect(() => enginePaths("r", "/s")).toThrow("--root must be an absolute path");
});

test.each([
  ["a.slice", "a.slice"],
  ["a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice"],
  ["-.slice", "/"],
  ["mine", "mine"],
  ["x/a-b.slice", "x/a-b.slice"],
])("the slice %s is at %s", (parent, path) => expect(slicePath(parent)).toBe(path));
