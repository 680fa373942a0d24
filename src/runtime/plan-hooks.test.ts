import { expect, test } from "bun:test";
import { failureError } from "./failure.ts";
import { planContainer } from "./plan-container.ts";
import { hookSeconds } from "./plan-hooks.ts";
import type { ContainerStep } from "./plan-step.ts";
import { sampleConfig, v2Layout } from "./sample.test-data.ts";

const kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
const config = {
  ...sampleConfig,
  annotations: { ä: "b" },
  hooks: Object.fromEntries(
    kinds.map((kind) => [
      kind,
      [{ path: `/${kind}` }, { path: "/b", args: ["a", "c"], env: ["X=1"], timeout: 3 }],
    ]),
  ),
};
const hooks = { id: "ähm", bundle: "/bundle", rootfs: "/bundle/rootfs", env: ["PATH=/host"] };
const { plan } = planContainer({ config, cgroups: v2Layout, hooks, startFifo: "/fifo" });
const names = plan.container.map((step) => (step.do === "run-hook" ? step.label : step.do));
const hookOf = (label: string): ContainerStep & { readonly do: "run-hook" } => {
  const found = [...(plan.hooks ?? []), ...plan.container].find(
    (step) => step.do === "run-hook" && step.label === label,
  );
  if (found?.do !== "run-hook") throw new Error(label);
  return found;
};

test("the monitor runs prestart, then createRuntime hooks, when the mounts are there", () => {
  expect(plan.hooks?.map(({ label }) => label)).toEqual([
    "prestart hook #0",
    "prestart hook #1",
    "createRuntime hook #0",
    "createRuntime hook #1",
  ]);
  const at = names.indexOf("ask-hooks");
  expect(names.slice(at, at + 4)).toEqual([
    "ask-hooks",
    "createContainer hook #0",
    "createContainer hook #1",
    "pivot-root",
  ]);
  expect(names.lastIndexOf("mount")).toBeLessThan(at);
});

test("startContainer hooks run between start and the program", () => {
  expect(names.slice(-4)).toEqual(["wait-start", "startContainer hook #0", "startContainer hook #1", "exec"]);
});

test.each([
  ["prestart hook #0", { argv: ["/prestart"], env: ["PATH=/host"], seconds: 600, cwd: "/bundle" }],
  ["createRuntime hook #1", { path: "/b", argv: ["a", "c"], env: ["X=1"], seconds: 3, cwd: "/bundle" }],
  ["createContainer hook #0", { env: ["PATH=/host"], cwd: "/bundle/rootfs" }],
  ["startContainer hook #0", { env: ["PATH=/bin"], cwd: "" }],
] as const)("%s: %j", (label, fields) => expect(hookOf(label)).toMatchObject(fields));

test.each([
  ["prestart hook #0", "creating"],
  ["createContainer hook #0", "creating"],
  ["startContainer hook #0", "created"],
] as const)("%s is told the state, %s, with room for the pid", (label, status) => {
  const { state, pidAt } = hookOf(label);
  const bytes = new TextEncoder().encode(state);
  expect(new TextDecoder().decode(bytes.slice(pidAt, pidAt + 8))).toBe("        ");
  bytes.set(new TextEncoder().encode("4194303 "), pidAt);
  expect(JSON.parse(new TextDecoder().decode(bytes))).toEqual({
    ociVersion: "1.3.0",
    id: "ähm",
    status,
    pid: 4194303,
    bundle: "/bundle",
    annotations: { ä: "b" },
  });
});

test("the time-outs of a plan's hooks add up", () => expect(hookSeconds(plan)).toBe(4 * 603));

test("who does not offer hooks refuses them by name", () => {
  expect(() => planContainer({ config, cgroups: v2Layout })).toThrow(
    "gantry does not offer: hooks.prestart, hooks.createRuntime, hooks.createContainer, hooks.startContainer",
  );
});

test.each([
  [
    5,
    "createRuntime hook #1: /b: exit status 3: one\n two\n",
    "error running createRuntime hook #1: /b: exit status 3: one; two",
    "canceled",
  ],
  [
    2,
    "createRuntime hook #1: /b: cannot be executed",
    "error running createRuntime hook #1: /b: cannot be executed: no such file or directory",
    "canceled",
  ],
  [
    110,
    "createRuntime hook #1: /b: hook ran past specified timeout of 3s",
    "error running createRuntime hook #1: /b: hook ran past specified timeout of 3s",
    "timeout",
  ],
  [
    24,
    "start createRuntime hook #1",
    "error running createRuntime hook #1: /b: start createRuntime hook #1: too many open files",
    "canceled",
  ],
] as const)("errno %d, %j: %s", (errno, context, message, code) => {
  const error = failureError(plan, { index: plan.monitor.length + 3, errno, context });
  expect(error.message).toBe(message);
  expect(error.code).toBe(code);
});
