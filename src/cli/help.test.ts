import { expect, test } from "bun:test";
import { everyCommand, findCommand } from "./commands.ts";
import { help } from "./help.ts";
import { explainUnknown } from "./unknown-command.ts";

const all = everyCommand().map(([path, entry]) => [path.join(" "), entry] as const);

test.each(all)("%s: loads, has help, and its table does not contradict itself", async (name, entry) => {
  const spec = await entry.load();
  const longs = spec.flags.flatMap((flag) => [flag.name, ...(flag.also ?? [])]);
  const shorts = spec.flags.flatMap((flag) => flag.short ?? []);
  expect(new Set(longs).size).toBe(longs.length);
  expect(new Set(shorts).size).toBe(shorts.length);
  expect(spec.summary).toBe(entry.summary);
  const text = await help(name.split(" "));
  expect(text).toStartWith(`Usage:  gantry ${name}`);
  expect(
    (text ?? "")
      .split("\n\nExamples:")[0]
      ?.split("\n")
      .filter((line) => line.startsWith("      ") && line.length > 80),
  ).toEqual([]);
});

test("help has docker's layout", async () => {
  expect(await help(["stop"])).toBe(`Usage:  gantry stop [OPTIONS] CONTAINER [CONTAINER...]

Stop one or more running containers

Sends the stop signal (SIGTERM unless the image or --stop-signal says otherwise) and, when the
container still runs after the timeout (10 s), SIGKILL.

Aliases:
  gantry container stop, gantry stop

Options:
  -s, --signal string   Signal to send
  -t, --timeout int     Seconds to wait before the container is killed
`);
});

test.each([
  [["ps", "-a"], ["ps"], ["-a"]],
  [["container", "list", "-q"], ["container", "list"], ["-q"]],
  [["image", "remove", "x"], ["image", "remove"], ["x"]],
] as const)("finds %j", (words, path, rest) => {
  expect(findCommand(words)).toMatchObject({ path: [...path], rest: [...rest] });
});

test.each([
  [["constructor"], 0, "unknown command: gantry constructor"],
  [["compose", "up"], 0, "hint: use docker compose with"],
  [["restrat"], 0, "hint: did you mean: gantry restart"],
  [["volume", "lss"], 1, "hint: did you mean: gantry volume ls"],
] as const)("explains %j", (words, depth, text) => {
  expect(findCommand(words)).toHaveProperty("unknown");
  expect(explainUnknown(words, depth)).toContain(text);
});
