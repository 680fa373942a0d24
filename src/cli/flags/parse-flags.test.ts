import { expect, test } from "bun:test";
import type { Flag } from "./flag.ts";
import { parseBytes, parseCpus, parseDuration } from "./flag.ts";
import { parseFlags } from "./parse-flags.ts";

const table: readonly Flag[] = [
  { name: "all", short: "a", kind: "bool", help: "" },
  { name: "env", short: "e", kind: "list", help: "" },
  { name: "name", short: "n", kind: "string", also: ["alias"], help: "" },
  { name: "subnet", kind: "strings", help: "" },
  { name: "time", short: "t", kind: "int", help: "" },
];

const cases = [
  { words: ["-a", "x"], args: ["x"], all: true },
  { words: ["x", "-a"], args: ["x"], all: true },
  { words: ["-aen", "x"], args: ["x"], all: true, env: ["n"] },
  {
    words: ["-e=A=b", "-eC=d", "-e", "E", "--env", "F", "--env=G=h"],
    args: [],
    env: ["A=b", "C=d", "E", "F", "G=h"],
  },
  { words: ["--alias", "q"], args: [], name: "q" },
  { words: ["--all=false"], args: [], all: false },
  { words: ["--", "-a", "--env"], args: ["-a", "--env"], all: false },
  { words: ["-", "--name="], args: ["-"], name: "" },
  { words: ["--name", "-a"], args: [], name: "-a" },
  { words: ["--subnet", "a,b", "--subnet=c"], args: [], subnet: ["a", "b", "c"] },
] as const;

test.each(cases.map((one) => [one.words.join(" "), one] as const))("parses %s", (_, one) => {
  const { flags, args } = parseFlags(table, one.words);
  expect(args).toEqual([...one.args]);
  if ("all" in one) expect(flags.bool("all")).toBe(one.all);
  if ("env" in one) expect(flags.list("env")).toEqual(one.env);
  if ("name" in one) expect(flags.text("name")).toBe(one.name);
  if ("subnet" in one) expect(flags.list("subnet")).toEqual(one.subnet);
});

test("the first argument ends the flags where the rest is another program's", () => {
  const { args, help } = parseFlags(table, ["-a", "image", "-a", "--help", "--", "x"], {
    stopAtArgument: true,
  });
  expect({ args, help }).toEqual({ args: ["image", "-a", "--help", "--", "x"], help: false });
});

const complaints = [
  [["--foo"], "unknown flag: --foo"],
  [["-az"], "unknown shorthand flag: 'z' in -z"],
  [["--name"], "flag needs an argument: --name"],
  [["-an"], "flag needs an argument: 'n' in -n"],
  [["--all=x"], 'invalid argument "x" for "-a, --all" flag: strconv.ParseBool: parsing "x": invalid syntax'],
  [
    ["-t", "1.5"],
    'invalid argument "1.5" for "-t, --time" flag: strconv.ParseInt: parsing "1.5": invalid syntax',
  ],
  [
    ["-t", "99999999999999999999"],
    'invalid argument "99999999999999999999" for "-t, --time" flag: strconv.ParseInt: parsing "99999999999999999999": value out of range',
  ],
] as const;

test.each(complaints)("refuses %j", (words, message) => {
  expect(() => parseFlags(table, words)).toThrow(message);
});

test.each([["--help"], ["-h"], ["-ah"]])("%s asks for help", (word) => {
  expect(parseFlags(table, [word, "--nonsense"]).help).toBe(true);
});

test.each([
  ["0", 0],
  ["512m", 536870912],
  ["1.5g", 1610612736],
  ["64KB", 65536],
  ["1GiB", 1073741824],
  ["10b", 10],
] as const)("bytes of %s", (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test.each([
  ["0.1", 1e8],
  ["1.5", 15e8],
  ["1/4", 25e7],
  ["0.000000001", 1],
] as const)("CPUs of %s", (text, nano) => {
  expect(parseCpus(text)).toBe(nano);
});

test.each([
  ["0", 0],
  ["100ms", 1e8],
  ["1m30s", 9e10],
  ["-1h", -3.6e12],
  ["1.5s", 1.5e9],
] as const)("nanoseconds of %s", (text, nanoseconds) => {
  expect(parseDuration(text)).toBe(nanoseconds);
});
