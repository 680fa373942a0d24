import { expect, test } from "bun:test";
import { cleanEnvironment, lacksHome } from "./environment.ts";

test.each([
  [["A=1", "B=2", "A=3"], ["A=3", "B=2"], true],
  [["HOME=", "A=x=y"], ["A=x=y"], true],
  [["HOME=/a", "HOME="], [], true],
  [["HOME=", "HOME=/a"], ["HOME=/a"], false],
  [["ODD", "A="], ["ODD", "A="], true],
])("%p", (env, want, lacks) => {
  expect(cleanEnvironment(env)).toEqual(want);
  expect(lacksHome(cleanEnvironment(env))).toBe(lacks);
});
