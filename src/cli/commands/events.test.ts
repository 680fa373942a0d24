import { expect, test } from "bun:test";
import { plainLine } from "./events.ts";

test("an event as docker prints it", () => {
  const event = {
    Type: "container",
    Action: "die",
    Actor: { ID: "abc", Attributes: { name: "web", exitCode: "1" } },
    time: 1_764_040_000,
    timeNano: 1_764_040_000_500_000_000,
  };
  expect(plainLine(event)).toMatch(
    /^2025-11-2\dT\d\d:06:40\.500000000(Z|[+-]\d\d:\d\d) container die abc \(exitCode=1, name=web\)$/,
  );
  expect(plainLine({ ...event, Actor: { ID: "abc", Attributes: null } })).toEndWith("die abc");
});
