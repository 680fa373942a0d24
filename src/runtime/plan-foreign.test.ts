import { expect, test } from "bun:test";
import type { CgroupLayout } from "../kernel/index.ts";
import { explainPlan } from "./explain-plan.ts";
import { failureError } from "./failure.ts";
import { lastLoggedError } from "./foreign-failure.ts";
import { foreignOomPath, planForeignContainer, planForeignExec } from "./plan-foreign.ts";

const cgroups: CgroupLayout = {
  kind: "hybrid",
  controllers: { memory: "/cg/memory" },
  unified: "/cg/unified",
};
const runtime = { program: "/usr/bin/crun", root: "/r", id: "c1", bundle: "/b", env: ["PATH=/bin"] };
const overlay = { target: "/t", lowers: ["/l"], upper: "/u", work: "/w", options: "" };
const message = { message: Uint8Array.of(1), description: "set an address" };
const network = {
  monitor: [{ do: "netlink", protocol: 0, messages: [message] }],
  container: [{ do: "netlink", protocol: 0, messages: [message] }],
  teardown: [],
} as const;

test("the runtime's process is taken over between create and start, and gets its network there", () => {
  const plan = planForeignContainer({ runtime, overlay, terminal: false, cgroups, network });
  expect(plan.monitor.map((step) => step.do)).toEqual([
    "become-parent",
    "private-mounts",
    "overlay",
    "run-program",
    "adopt",
    "netlink",
    "child-netlink",
    "run-program",
  ]);
  expect(plan.container).toEqual([]);
  expect(explainPlan(plan).map(({ text }) => text)).toContain(
    "Run /usr/bin/crun --root /r --log /b/log.json --log-format json create --bundle /b --pid-file /b/pid c1 with the container's stdin, stdout and stderr, for 30 s at most.",
  );
  expect(plan.monitor[1]).toMatchObject({ hide: ["/cg/unified"] });
});

test("a terminal comes over a socket", () => {
  const plan = planForeignContainer({ runtime, overlay, terminal: true, cgroups });
  const create = plan.monitor.find((step) => step.do === "run-program");
  expect(create).toMatchObject({ stdio: false });
  expect(create?.argv).toContain("--console-socket");
  expect(plan.monitor.findIndex((step) => step.do === "console-listen")).toBeLessThan(3 + 1);
});

test("a step that needs the child is refused", () => {
  const container = [{ do: "set-session" }] as const;
  expect(() =>
    planForeignContainer({ runtime, overlay, terminal: false, cgroups, network: { ...network, container } }),
  ).toThrow('the network step "set-session"');
});

test("an exec leaves no file", () => {
  const plan = planForeignExec({ runtime, processFile: "/b/x1", terminal: true, cgroups });
  expect(plan.teardown.map((step) => ("path" in step ? step.path : ""))).toEqual([
    "/b/x1",
    "/b/x1.pid",
    "/b/x1.sock",
  ]);
});

test("OOM kills are counted where the layout has them", () => {
  expect(foreignOomPath(cgroups, "/g/c")).toBe("/cg/memory/g/c/memory.oom_control");
  expect(foreignOomPath({ kind: "v2", controllers: { memory: "/u" }, unified: "/u" }, "/g")).toBe(
    "/u/g/memory.events",
  );
  expect(foreignOomPath({ kind: "v1", controllers: {} }, "/g")).toBeUndefined();
});

test.each([
  [
    '{"level":"error","msg":"first"}\n{"msg":"exec \\"x\\": not \\\\ here","level":"error"}',
    'exec "x": not \\ here',
  ],
  ['ut off","level":"error"}\n{ "msg": "cut', "cut"],
  ["plain words", undefined],
])("the last error of %j", (tail, want) => expect(lastLoggedError(tail)).toBe(want));

test.each([
  ['{"msg":"exec: \\"nope\\": executable file not found in $PATH"}', "command-not-found"],
  ['{"msg":"exec format error: exec /x: permission denied"}', "command-not-executable"],
  ['{"msg":"cgroups: no"}', "unavailable"],
  ["", "unavailable"],
])("%s", (context, code) => {
  const plan = planForeignContainer({ runtime, overlay, terminal: false, cgroups });
  expect(failureError(plan, { index: 3, errno: 125, context }).code).toBe(code as never);
});
