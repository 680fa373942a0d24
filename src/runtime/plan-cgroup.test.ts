import { describe, expect, test } from "bun:test";
import type { CgroupLayout } from "../kernel/index.ts";
import { weightOfShares } from "./cgroup-limits-cpu.ts";
import type { OciResources } from "./oci-types.ts";
import { deviceLine } from "./device-rules.ts";
import { planCgroup } from "./plan-cgroup.ts";
import { becauseOf } from "./plan-input.ts";
import type { MonitorStep } from "./plan-step.ts";
import { hybridLayout, v1Layout, v2Layout } from "./sample.test-data.ts";

const mib = 1 << 20;
const planned = (cgroups: CgroupLayout, resources: OciResources = {}) =>
  planCgroup({
    cgroups,
    cgroupsPath: "/gantry/x",
    resources,
    because: becauseOf(),
  });
const written = (steps: readonly MonitorStep[], filter = /./): string[] =>
  steps.flatMap((step) =>
    step.do === "write-file" && filter.test(step.path)
      ? [`${step.path.replace("/sys/fs/cgroup/", "")}=${step.data}`]
      : [],
  );
const made = (steps: readonly MonitorStep[]): string[] =>
  steps.flatMap((step) => (step.do === "make-dir" ? [step.path] : []));
const limits: OciResources = {
  memory: { limit: 64 * mib, swap: 96 * mib, reservation: 32 * mib },
  cpu: { shares: 1024, quota: 150_000, period: 100_000 },
  pids: { limit: 50 },
};

describe("v1", () => {
  const steps = planned(v1Layout, limits);

  test("one directory a hierarchy that is needed, co-mounted ones once", () => {
    const dirs = ["memory", "cpu,cpuacct", "pids", "devices", "freezer"].map(
      (name) => `/sys/fs/cgroup/${name}/gantry/x`,
    );
    expect(made(steps.before)).toEqual(dirs);
    expect(steps.enter.map((step) => (step.do === "enter-cgroup" ? step.dir : ""))).toEqual(dirs);
    expect(steps.join).toEqual([]);
    expect(steps.teardown.map((step) => (step.do === "remove-cgroup" ? step.dir : ""))).toEqual(dirs);
    expect(steps.intoCgroup).toBeUndefined();
  });

  test("limits in the order in which the kernel takes them", () => {
    expect(written(steps.before, /memory|cpu|pids/)).toEqual([
      `memory/gantry/x/memory.limit_in_bytes=${64 * mib}`,
      `memory/gantry/x/memory.memsw.limit_in_bytes=${96 * mib}`,
      `memory/gantry/x/memory.soft_limit_in_bytes=${32 * mib}`,
      "cpu,cpuacct/gantry/x/cpu.shares=1024",
      "cpu,cpuacct/gantry/x/cpu.cfs_period_us=100000",
      "cpu,cpuacct/gantry/x/cpu.cfs_quota_us=150000",
      "pids/gantry/x/pids.max=50",
    ]);
    expect(steps.oomPath).toBe("/sys/fs/cgroup/memory/gantry/x/memory.oom_control");
  });

  test("devices: all denied, then what every container may use", () => {
    const lines = written(steps.before, /devices/).map((line) =>
      line.slice("devices/gantry/x/devices.".length),
    );
    expect(lines.slice(0, 4)).toEqual(["deny=a", "allow=c *:* m", "allow=b *:* m", "allow=c 1:3 rwm"]);
    expect(lines).toContain("allow=c 136:* rwm");
    expect(lines).not.toContain("allow=a");
    expect(lines).toHaveLength(12);
  });

  test("a privileged container is allowed all", () => {
    const open = planned(v1Layout, { devices: [{ allow: true, access: "rwm" }] });
    expect(written(open.before, /devices/)[0]).toBe("devices/gantry/x/devices.allow=a");
  });

  test("a cpuset is filled from the top before it is narrowed", () => {
    const { before } = planned(v1Layout, { cpu: { cpus: "1" } });
    const fills = before.filter((step) => step.do === "fill-cpuset");
    expect(fills).toEqual([
      { do: "fill-cpuset", mount: "/sys/fs/cgroup/cpuset", path: "/gantry/x", because: expect.any(String) },
    ]);
    expect(written(before, /cpuset/)).toEqual(["cpuset/gantry/x/cpuset.cpus=1"]);
    const order = before.map((step) => step.do);
    expect(order.indexOf("fill-cpuset")).toBeGreaterThan(order.lastIndexOf("make-dir"));
  });

  test("unlimited swap needs no swap accounting", () => {
    const steps = planned(v1Layout, { memory: { limit: mib, swap: -1 } });
    expect(written(steps.before, /memory/)).toEqual([`memory/gantry/x/memory.limit_in_bytes=${mib}`]);
  });
});

describe("hybrid", () => {
  test("is v1, and leaves the unified mount alone", () => {
    const steps = planned(hybridLayout, limits);
    expect(made(steps.before)).toContain("/sys/fs/cgroup/cpuacct/gantry/x");
    expect(made(steps.before).some((dir) => dir.includes("unified"))).toBe(false);
  });

  test("a controller that only the unified mount has is used there", () => {
    const unified = "/sys/fs/cgroup/unified";
    const layout: CgroupLayout = {
      ...hybridLayout,
      controllers: { ...hybridLayout.controllers, memory: unified },
    };
    const steps = planned(layout, { memory: { limit: mib }, pids: { limit: 1 } });
    expect(written(steps.before, /memory|subtree|pids/)).toEqual([
      "pids/gantry/x/pids.max=1",
      "unified/cgroup.subtree_control=+memory",
      "unified/gantry/cgroup.subtree_control=+memory",
      `unified/gantry/x/memory.max=${mib}`,
    ]);
    expect(steps.join.at(-1)).toMatchObject({ do: "join-cgroup", dir: `${unified}/gantry/x` });
    expect(steps.teardown.at(-1)).toMatchObject({ do: "remove-cgroup", dir: `${unified}/gantry/x` });
    expect(steps.oomPath).toBe(`${unified}/gantry/x/memory.events`);
    expect(steps.before.some((step) => step.do === "cgroup-devices")).toBe(false);
  });
});

describe("v2", () => {
  const steps = planned(v2Layout, limits);

  test("controllers are handed down from the root to the parent, then the child is born inside", () => {
    expect(written(steps.before, /subtree/)).toEqual([
      "cgroup.subtree_control=+memory +cpu +pids",
      "gantry/cgroup.subtree_control=+memory +cpu +pids",
    ]);
    expect(made(steps.before)).toEqual(["/sys/fs/cgroup/gantry", "/sys/fs/cgroup/gantry/x"]);
    expect(steps.join).toEqual([]);
    expect(steps.intoCgroup).toBe("/sys/fs/cgroup/gantry/x");
    expect(steps.oomPath).toBe("/sys/fs/cgroup/gantry/x/memory.events");
  });

  test("OCI's v1 words as v2 values", () => {
    expect(written(steps.before, /gantry\/x/)).toEqual([
      `gantry/x/memory.max=${64 * mib}`,
      `gantry/x/memory.swap.max=${32 * mib}`,
      `gantry/x/memory.low=${32 * mib}`,
      "gantry/x/cpu.weight=100",
      "gantry/x/cpu.max=150000 100000",
      "gantry/x/pids.max=50",
    ]);
  });

  test("devices are a program", () => {
    expect(steps.before.at(-1)).toMatchObject({ do: "cgroup-devices", dir: "/sys/fs/cgroup/gantry/x" });
  });

  test.each([
    { name: "a quota without a period", cpu: { quota: 5000 }, want: "cpu.max=5000 100000" },
    { name: "a period without a quota", cpu: { period: 5000 }, want: "cpu.max=max 5000" },
    { name: "no quota", cpu: { quota: -1 }, want: "cpu.max=max 100000" },
  ])("$name", ({ cpu, want }) => {
    expect(written(planned(v2Layout, { cpu }).before, /cpu\.max/)).toEqual([`gantry/x/${want}`]);
  });

  test("files of its own by unified", () => {
    const unified = { "memory.high": "1048576", "cgroup.max.depth": "3" };
    expect(written(planned(v2Layout, { unified }).before, /high|depth/)).toEqual([
      "gantry/x/memory.high=1048576",
      "gantry/x/cgroup.max.depth=3",
    ]);
  });
});

describe("what a machine lacks", () => {
  const bare: CgroupLayout = { kind: "v1", controllers: { cpu: "/c" } };

  test("is no error without a limit", () => {
    expect(made(planned(bare).before)).toEqual(["/c/gantry/x"]);
    expect(planned({ kind: "v2", controllers: {}, unified: "/u" }).oomPath).toBeUndefined();
  });

  test.each([
    {
      name: "no memory controller",
      on: bare,
      resources: limits,
      words: ["linux.resources.memory", "linux.resources.pids"],
    },
    {
      name: "the OOM killer off on v2",
      on: v2Layout,
      resources: { memory: { disableOOMKiller: true } },
      words: ["disableOOMKiller"],
    },
    {
      name: "unified on v1",
      on: v1Layout,
      resources: { unified: { "memory.high": "1" } },
      words: ["unified.memory.high"],
    },
    { name: "net_cls on v2", on: v2Layout, resources: { network: { classID: 1 } }, words: ["net_cls"] },
  ])("$name is named, all limits at once", ({ on, resources, words }) => {
    for (const word of words) expect(() => planned(on, resources)).toThrow(word);
    expect(() => planned(on, resources)).toThrow(expect.objectContaining({ code: "unsupported" }));
  });
});

test.each([
  [2, 1],
  [1024, 100],
  [262_144, 10_000],
  [0, 1],
])("%d shares weigh %d", (shares, weight) => {
  expect(weightOfShares(shares)).toBe(weight);
});

test.each([
  [{ allow: false, access: "rwm" }, "a"],
  [{ allow: true, type: "c", major: 1, minor: 3, access: "rw" }, "c 1:3 rw"],
  [{ allow: true, type: "b", major: 8, access: "r" }, "b 8:* r"],
  [{ allow: true, type: "c", major: -1, minor: -1 }, "c *:* rwm"],
] as const)("device rule %j", (rule, line) => {
  expect(deviceLine(rule)).toBe(line);
});

test("hybrid without a v1 hierarchy of devices or freezer: the cgroup2 mount stands in", () => {
  const { devices: _, ...controllers } = hybridLayout.controllers;
  const steps = planned({ ...hybridLayout, controllers });
  expect(steps.before.at(-1)).toMatchObject({ do: "cgroup-devices", dir: "/sys/fs/cgroup/unified/gantry/x" });
  expect(steps.join).toHaveLength(1);
});

test("a v2 cgroup is handed to its owner after its limits", () => {
  const { before } = planCgroup({
    cgroups: v2Layout,
    cgroupsPath: "/gantry/x",
    resources: limits,
    because: becauseOf(),
    owner: 1000,
  });
  expect(before.at(-1)).toMatchObject({ do: "cgroup-owner", dir: "/sys/fs/cgroup/gantry/x", uid: 1000 });
});

test("below systemd its own hierarchy is entered, and what the parents hand down is systemd's to say", () => {
  const input = { cgroupsPath: "/a.slice/x.scope", resources: {}, because: becauseOf(), bySystemd: true };
  const named = {
    ...v1Layout,
    controllers: { ...v1Layout.controllers, "name=systemd": "/sys/fs/cgroup/systemd" },
  };
  const { enter } = planCgroup({ cgroups: named, ...input });
  expect(enter.map((step) => (step.do === "enter-cgroup" ? step.dir : ""))).toContain(
    "/sys/fs/cgroup/systemd/a.slice/x.scope",
  );
  const { before } = planCgroup({ cgroups: v2Layout, ...input });
  const parents = before.filter((step) => step.do === "write-file" && step.path.endsWith("subtree_control"));
  expect(parents.every(({ optional }) => optional === true)).toBe(true);
});
