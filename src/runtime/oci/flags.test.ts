import { expect, test } from "bun:test";
import { expectWords, type FlagSpecs, parseFlags, UsageError } from "./flags.ts";

const specs: FlagSpecs = {
  bundle: { kind: "text", short: "b" },
  detach: { kind: "bool", short: "d" },
  tty: { kind: "bool", short: "t" },
  env: { kind: "list", short: "e" },
  "preserve-fds": { kind: "number" },
};

const shown = (args: readonly string[], stopAtWord = true): object => {
  const flags = parseFlags(specs, args, stopAtWord);
  return {
    bundle: flags.text("bundle"),
    detach: flags.is("detach"),
    tty: flags.is("tty"),
    env: flags.list("env"),
    fds: flags.number("preserve-fds"),
    words: flags.words,
  };
};

const none = { bundle: undefined, detach: false, tty: false, env: [], fds: undefined, words: [] };

test.each([
  { args: [], want: {} },
  { args: ["--bundle", "x", "id"], want: { bundle: "x", words: ["id"] } },
  { args: ["-bundle=x=y"], want: { bundle: "x=y" } },
  { args: ["-b", "x", "-b", "y"], want: { bundle: "y" } },
  { args: ["-dt", "id"], want: { detach: true, tty: true, words: ["id"] } },
  { args: ["-dtb", "x"], want: { detach: true, tty: true, bundle: "x" } },
  { args: ["--detach=false"], want: {} },
  { args: ["-e", "A=1", "--env", "B=2"], want: { env: ["A=1", "B=2"] } },
  { args: ["--preserve-fds", "3"], want: { fds: 3 } },
  { args: ["id", "ls", "-t"], want: { words: ["id", "ls", "-t"] } },
  { args: ["--", "-t"], want: { words: ["-t"] } },
  { args: ["-"], want: { words: ["-"] } },
  { args: ["id", "-d", "b"], stop: false, want: { detach: true, words: ["id", "b"] } },
  { args: ["id", "--", "-d"], stop: false, want: { words: ["id", "-d"] } },
])("$args", ({ args, stop, want }) => {
  expect(shown(args, stop ?? true)).toEqual({ ...none, ...want });
});

test.each([
  [["--nope"], "flag provided but not defined: -nope"],
  [["-dx"], "flag provided but not defined: -dx"],
  [["-bd"], "flag provided but not defined: -bd"],
  [["--constructor"], "flag provided but not defined: -constructor"],
  [["--bundle"], "flag needs an argument: -bundle"],
  [["--preserve-fds", "x"], 'invalid value "x" for flag -preserve-fds: parse error'],
  [["--detach=maybe"], 'invalid boolean value "maybe" for -detach: parse error'],
])("%j is refused in runc's words", (args, message) => {
  expect(() => parseFlags(specs, args)).toThrow(new UsageError(message, message));
});

test.each([
  [1, 1, [], '"x" requires exactly 1 argument(s)'],
  [1, 2, [], '"x" requires a minimum of 1 argument(s)'],
  [0, 1, ["a", "b"], '"x" requires a maximum of 1 argument(s)'],
])("between %p and %p words, not %j", (low, high, words, message) => {
  expect(() => expectWords("x", parseFlags({}, words), low, high)).toThrow(`gantry-oci: ${message}`);
});
