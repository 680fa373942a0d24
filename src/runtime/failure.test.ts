import { expect, test } from "bun:test";
import { GantryError } from "../lib/index.ts";
import { allSteps } from "./encode-plan.ts";
import { everyStep } from "./every-step.test-data.ts";
import { failureError } from "./failure.ts";
import type { ContainerStep, Plan } from "./plan-step.ts";
import { stepPhrase } from "./step-phrase.ts";

const steps = allSteps(everyStep);
const at = (kind: ContainerStep["do"] | "clone"): number => steps.findIndex((step) => step.do === kind);
const total = steps.length;

test("a failure names the step in words, the error and the position", () => {
  const error = failureError(everyStep, { index: at("mount"), errno: 1, context: "" });
  expect(error).toBeInstanceOf(GantryError);
  expect(error.message).toBe(
    `mount proc on /proc: operation not permitted (step ${at("mount") + 1} of ${total})`,
  );
  expect(error.code).toBe("denied");
  expect(error.fields).toEqual({ step: at("mount"), errno: "EPERM" });
});

test("the context of gantry-init is shown unless it says what the phrase says", () => {
  const index = at("mount");
  expect(failureError(everyStep, { index, errno: 22, context: "mount option uid" }).message).toContain(
    "(mount option uid)",
  );
  expect(failureError(everyStep, { index, errno: 22, context: "mount on /proc" }).message).not.toContain(
    "(mount on",
  );
});

const run = (command: string): Plan => ({
  monitor: [],
  container: [{ do: "exec", argv: [command], env: [], useInit: false }],
  teardown: [],
});
test.each([
  {
    command: "foo",
    errno: 2,
    code: "command-not-found",
    words: 'exec: "foo": executable file not found in $PATH',
  },
  {
    command: "/foo",
    errno: 2,
    code: "command-not-found",
    words: 'exec: "/foo": stat /foo: no such file or directory',
  },
  {
    command: "/etc/passwd/x",
    errno: 20,
    code: "command-not-found",
    words: "stat /etc/passwd/x: not a directory",
  },
  {
    command: "/etc",
    errno: 21,
    code: "command-not-executable",
    words: 'exec: "/etc": is a directory: permission denied',
  },
  {
    command: "/etc/passwd",
    errno: 13,
    code: "command-not-executable",
    words: 'exec: "/etc/passwd": permission denied',
  },
  { command: "/x.sh", errno: 8, code: "command-not-executable", words: "exec /x.sh: exec format error" },
  { command: "/x", errno: 7, code: "invalid", words: "argument list too long" },
] as const)("exec $command, errno $errno: $code", ({ command, errno, code, words }) => {
  const error = failureError(run(command), { index: 0, errno, context: command });
  expect(error.code).toBe(code);
  expect(error.message).toContain(words);
  expect(error.message).toStartWith("failed to create task for container: ");
});

test("a refused plan is a bug of ours", () => {
  expect(failureError(everyStep, { index: 0xffff_ffff, errno: 22, context: "bad op" })).toMatchObject({
    code: "internal",
    message: "gantry-init refused the plan: invalid argument (bad op)",
  });
});

test.each([
  ["bind", 2, "create /s on the host"],
  ["overlay", 19, "modprobe overlay"],
  ["clone", 28, "max_*_namespaces"],
  ["rlimit", 1, "hard limit"],
  ["join-namespaces", 3, "not running"],
] as const)("%s with errno %d has a remedy", (kind, errno, hint) => {
  expect(failureError(everyStep, { index: at(kind), errno, context: "" }).hint).toContain(hint);
});

test("every kind of step has a phrase of its own", () => {
  const phrases = steps.map(stepPhrase);
  expect(new Set(phrases).size).toBe(steps.length);
  for (const phrase of phrases) expect(phrase).toMatch(/^[a-z].*[^.]$/);
});

test.each(["wait-start", "seccomp"] as const)(
  "a program that %s does not find is told as exec tells it",
  (kind) => {
    const before: ContainerStep =
      kind === "seccomp"
        ? { do: kind, program: new Uint8Array(8), flags: 0 }
        : { do: kind, fifo: "/run/exec.fifo" };
    const plan: Plan = { ...run("/etc"), container: [before, ...run("/etc").container] };
    expect(failureError(plan, { index: 0, errno: 21, context: "/etc" }).message).toEndWith(
      'exec: "/etc": is a directory: permission denied',
    );
    // What is about the step itself keeps its words.
    expect(failureError(plan, { index: 0, errno: 22, context: "load seccomp filter" }).message).toContain(
      "(step 1 of 2)",
    );
  },
);
