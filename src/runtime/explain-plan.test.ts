import { expect, test } from "bun:test";
import { allSteps } from "./encode-plan.ts";
import { everyStep } from "./every-step.test-data.ts";
import { explainPlan } from "./explain-plan.ts";
import { planContainer } from "./plan-container.ts";
import { hybridLayout, sampleConfig } from "./sample.test-data.ts";

const explained = explainPlan(everyStep);

test("each kind of step is one sentence of its own, in the plan's order", () => {
  expect(explained).toHaveLength(allSteps(everyStep).length);
  expect(explained.map(({ index }) => index)).toEqual(explained.map((_, index) => index));
  expect(new Set(explained.map(({ text }) => text)).size).toBe(explained.length);
  for (const { text } of explained) {
    expect(text).toMatch(/^[A-Z].*\.$/s);
    expect(text).not.toMatch(/undefined|NaN|\[object/);
  }
  expect(new Set(explained.map(({ section }) => section))).toEqual(
    new Set(["monitor", "hooks", "container", "teardown"]),
  );
});

const sentences = explained.map(({ text }) => text);
test.each([
  "Create the process in a new pid namespace, born in the cgroup /cg.",
  "Network: make the link eth0; make it up.",
  "Mount 2 layers with /u for changes on /t.",
  "Mount a proc on /proc (without set-user-id, without devices, without programs, hidepid=1), or show the host's /p where the kernel refuses.",
  "Show the host's /s at /i (read-only) (all below, too: read-only).",
  "Make the device /dev/null (1:3, mode 666).",
  "Limit RLIMIT_NOFILE to 1, at most unlimited.",
  "Give up for good every capability but: chown.",
  "Become user 4294967294, group 2, further groups 3, 4, umask 0022.",
  'Run sh -c "a b" under a small init.',
])("%s", (sentence) => {
  expect(sentences).toContain(sentence);
});

test("a whole container is explained with its reasons", () => {
  const { plan } = planContainer({
    config: sampleConfig,
    cgroups: hybridLayout,
    reasons: { "linux.resources.memory": "--memory 64m" },
  });
  const memory = explainPlan(plan).find(({ text }) => text.includes("memory.limit_in_bytes"));
  expect(memory).toMatchObject({ section: "monitor", because: "--memory 64m" });
});
