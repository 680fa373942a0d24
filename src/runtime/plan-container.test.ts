import { describe, expect, test } from "bun:test";
import type { GantryError } from "../lib/index.ts";
import { allSteps, encodePlan } from "./encode-plan.ts";
import { planContainer } from "./plan-container.ts";
import { planExec } from "./plan-exec.ts";
import type { ContainerPlanInput } from "./plan-input.ts";
import type { ContainerStep, Plan } from "./plan-step.ts";
import { hybridLayout, sampleConfig, v1Layout, v2Layout } from "./sample.test-data.ts";

const overlay = { target: "/merged", lowers: ["/l1"], upper: "/up", work: "/wk", options: "" };
const base: ContainerPlanInput = { config: sampleConfig, cgroups: hybridLayout, overlay };
const withProcess = (change: object): ContainerPlanInput => ({
  ...base,
  config: { ...sampleConfig, process: { cwd: "/", ...sampleConfig.process, ...change } },
});
const withLinux = (change: object): ContainerPlanInput => ({
  ...base,
  config: { ...sampleConfig, linux: { ...sampleConfig.linux, ...change } },
});

type Kind = ContainerStep["do"];
const kinds = (plan: Plan): Kind[] => plan.container.map((step) => step.do);
const first = (plan: Plan, kind: Kind): number => kinds(plan).indexOf(kind);
const last = (plan: Plan, kind: Kind): number => kinds(plan).lastIndexOf(kind);
const phase = (plan: Plan, wanted: "bound" | "set"): number =>
  plan.container.findIndex((step) => step.do === "capabilities" && step.phase === wanted);

function expectOrder(plan: Plan, order: readonly Kind[]): void {
  for (let at = 1; at < order.length; at++) {
    const [before, after] = [order[at - 1] ?? "exec", order[at] ?? "exec"];
    expect([before, last(plan, before) >= 0 && last(plan, before) < first(plan, after), after]).toEqual([
      before,
      true,
      after,
    ]);
  }
}

describe("the order of the child's steps", () => {
  const { plan } = planContainer(base);

  test("from its namespaces to the exec", () => {
    expectOrder(plan, [
      "wait-parent",
      "unshare",
      "mount-propagation",
      "overlay",
      "root",
      "mount",
      "make-node",
      "symlink",
    ]);
    expectOrder(plan, [
      "symlink",
      "pivot-root",
      "read-only",
      "mask",
      "rlimit",
      "chdir",
      "seccomp",
      "ids",
      "exec",
    ]);
    expect(kinds(plan).at(-1)).toBe("exec");
  });

  test("nothing is done before the child is in its cgroup and its network is there", () => {
    const order = kinds(plan);
    const arrived = order.indexOf("wait-parent");
    expect(order.slice(0, arrived).length).toBeGreaterThan(0);
    expect(new Set(order.slice(0, arrived))).toEqual(new Set(["enter-cgroup"]));
    expect(order.lastIndexOf("enter-cgroup")).toBeLessThan(arrived);
  });

  test("the bounding set shrinks before the user changes, the other sets after", () => {
    expect(phase(plan, "bound")).toBeLessThan(first(plan, "ids"));
    expect(phase(plan, "set")).toBeGreaterThan(first(plan, "ids"));
  });

  test("kernel settings are written through the host's /proc, before any file of the image is in sight", () => {
    expectOrder(plan, ["sysctl", "root"]);
    expectOrder(plan, ["oom-score", "root"]);
  });

  test("with no_new_privs the filter is the last thing before the exec", () => {
    const strict = planContainer(withProcess({ noNewPrivileges: true })).plan;
    expectOrder(strict, ["no-new-privs", "ids", "seccomp", "exec"]);
    expect(first(strict, "seccomp")).toBe(kinds(strict).length - 2);
    expect(phase(strict, "set")).toBeLessThan(first(strict, "seccomp"));
  });

  test("without it the filter is loaded while there are rights to do so", () => {
    expect(kinds(plan)).not.toContain("no-new-privs");
    expectOrder(plan, ["seccomp", "ids"]);
  });

  test("a created container waits behind everything but the exec", () => {
    const waiting = planContainer({ ...base, startFifo: "/run/fifo" }).plan;
    expect(kinds(waiting).slice(-2)).toEqual(["wait-start", "exec"]);
  });

  test("a read-only root is made so after all mount points are there", () => {
    const frozen = planContainer({
      ...base,
      config: { ...sampleConfig, root: { path: "/r", readonly: true } },
    }).plan;
    expectOrder(frozen, ["mask", "remount-root", "capabilities"]);
  });

  test("a terminal takes the place of a bare session, once the container's devpts is there", () => {
    const tty = planContainer(withProcess({ terminal: true })).plan;
    expectOrder(tty, ["pivot-root", "console", "mask"]);
    expect(kinds(tty)).not.toContain("set-session");
  });

  test("the network's steps stand between the wait and the root, and in the monitor after the clone", () => {
    const step = { do: "netlink", protocol: 0, messages: [] } as const;
    const network = { monitor: [step], container: [step], teardown: [step] };
    const networked = planContainer({ ...base, network, reasons: { network: "--network bridge" } }).plan;
    expectOrder(networked, ["wait-parent", "netlink", "root"]);
    const monitor = networked.monitor.map(({ do: kind }) => kind);
    expect(monitor.indexOf("netlink")).toBeGreaterThan(monitor.lastIndexOf("join-cgroup"));
    expect(networked.teardown.at(-1)).toEqual({ ...step, because: "--network bridge" });
  });
});

describe("what is in the plan", () => {
  const { plan } = planContainer(base);
  const steps = (kind: Kind): ContainerStep[] => plan.container.filter((step) => step.do === kind);

  test("the namespaces are made by clone, the cgroup namespace by the child in its cgroup", () => {
    const clone = plan.monitor.find((step) => step.do === "clone");
    expect(clone).toMatchObject({
      flags: 0x2_0000n | 0x2000_0000n | 0x4000_0000n | 0x800_0000n | 0x400_0000n,
    });
    expect(steps("unshare")).toMatchObject([{ flags: 0x200_0000n }]);
  });

  test("default devices and links", () => {
    const nodes = plan.container.flatMap((step) =>
      step.do === "make-node" ? [[step.inside, step.major, step.minor, step.mode]] : [],
    );
    expect(nodes).toEqual([
      ["/dev/null", 1, 3, 0o020666],
      ["/dev/zero", 1, 5, 0o020666],
      ["/dev/full", 1, 7, 0o020666],
      ["/dev/random", 1, 8, 0o020666],
      ["/dev/urandom", 1, 9, 0o020666],
      ["/dev/tty", 5, 0, 0o020666],
    ]);
    expect(steps("symlink")).toContainEqual(
      expect.objectContaining({ inside: "/dev/ptmx", target: "pts/ptmx" }),
    );
  });

  test("a bind that is read-only all the way down, private unless asked", () => {
    expect(steps("bind")).toMatchObject([
      {
        source: "/srv/data",
        inside: "/data",
        flags: 0x4000n,
        attrSet: 1n,
        recursive: true,
        propagation: 0x4_4000n,
        makeTarget: "as-source",
      },
    ]);
  });

  test("the cgroup mounts show only hierarchies in which the container has its own cgroup", () => {
    const shown = plan.container.flatMap((step) =>
      step.do === "mount" && step.fstype === "cgroup" ? [step.inside.slice(15)] : [],
    );
    expect(shown).toEqual(["memory", "cpu", "cpuacct", "pids", "devices", "freezer"]);
    expect(plan.container).toContainEqual(
      expect.objectContaining({ do: "mount-attributes", inside: "/sys/fs/cgroup", set: 1n }),
    );
    const v2 = planContainer({ ...base, cgroups: v2Layout }).plan;
    expect(v2.container).toContainEqual(
      expect.objectContaining({ do: "mount", fstype: "cgroup2", inside: "/sys/fs/cgroup", flags: 15n }),
    );
  });

  test("co-mounted controllers are mounted together, and linked", () => {
    const v1 = planContainer({ ...base, cgroups: v1Layout }).plan;
    expect(v1.container).toContainEqual(
      expect.objectContaining({ do: "mount", fstype: "cgroup", data: "cpu,cpuacct" }),
    );
    expect(v1.container).toContainEqual(
      expect.objectContaining({ do: "symlink", target: "cpu,cpuacct", inside: "/sys/fs/cgroup/cpuacct" }),
    );
  });

  test("each step has its reason, a flag's where one is known", () => {
    for (const step of allSteps(plan)) expect(step.because ?? "").not.toBe("");
    const reasons = { "linux.resources.memory": "--memory 64m", "process.user": "--user 1000" };
    const explained = planContainer({ ...base, reasons }).plan;
    expect(
      explained.monitor.find(
        (step) => step.do === "write-file" && step.path.endsWith("memory.limit_in_bytes"),
      ),
    ).toMatchObject({ because: "--memory 64m" });
    expect(explained.container.find((step) => step.do === "ids")).toMatchObject({
      because: "--user 1000",
      uid: 1000,
      groups: [10],
    });
  });

  test("without an overlay the root is the config's", () => {
    const { overlay: _none, ...plain } = base;
    expect(planContainer(plain).plan.container.find((step) => step.do === "root")).toMatchObject({
      path: "/rootfs",
    });
  });

  test("it can be encoded", () => {
    expect(encodePlan(plan, {}).length).toBeGreaterThan(1000);
  });

  test("a host /dev keeps its devices", () => {
    const mounts = [{ destination: "/dev", source: "/dev", options: ["rbind"] }];
    expect(kinds(planContainer({ ...base, config: { ...sampleConfig, mounts } }).plan)).not.toContain(
      "make-node",
    );
  });

  test("joined namespaces come before the wait, the mount namespace's paths being the host's", () => {
    const namespaces = [
      { type: "mount" },
      { type: "pid", path: "/proc/7/ns/pid" },
      { type: "network", path: "/proc/7/ns/net" },
    ];
    const joined = planContainer(withLinux({ namespaces })).plan;
    const arrival = joined.container.filter((step) => step.do !== "enter-cgroup");
    expect(arrival.slice(0, 3).map((step) => (step.do === "join-namespace" ? step.path : step.do))).toEqual([
      "/proc/7/ns/net",
      "/proc/7/ns/pid",
      "wait-parent",
    ]);
  });
});

describe("what is refused", () => {
  test.each([
    {
      name: "a new user namespace",
      input: withLinux({ namespaces: [{ type: "mount" }, { type: "user" }] }),
      code: "unsupported",
      words: "user namespace",
    },
    {
      name: "no mount namespace",
      input: withLinux({ namespaces: [] }),
      code: "unsupported",
      words: "mount namespace",
    },
    {
      name: "an AppArmor profile",
      input: withProcess({ apparmorProfile: "x" }),
      code: "unsupported",
      words: "process.apparmorProfile",
    },
    {
      name: "no cgroups path",
      input: withLinux({ cgroupsPath: "" }),
      code: "invalid",
      words: "linux.cgroupsPath",
    },
    {
      name: "a cgroups path that leads out",
      input: withLinux({ cgroupsPath: "/a/../.." }),
      code: "invalid",
      words: "linux.cgroupsPath",
    },
    {
      name: "an unknown capability",
      input: withProcess({ capabilities: { bounding: ["CAP_X"] } }),
      code: "invalid",
      words: "CAP_X",
    },
  ] as const)("$name", ({ input, code, words }) => {
    let thrown: unknown;
    try {
      planContainer(input);
    } catch (error) {
      thrown = error;
    }
    expect((thrown as GantryError).code).toBe(code);
    expect((thrown as GantryError).message).toContain(words);
  });
});

describe("planExec", () => {
  const request = {
    process: { cwd: "/", args: ["sh"], user: { uid: 0, gid: 0 } },
    target: { pid: 77, startTime: "12345678901234567890" },
    containerConfig: sampleConfig,
    cgroups: v2Layout,
  };
  const { plan } = planExec(request);

  test("enters the container's cgroups, then its namespaces, and has its filter", () => {
    const arrival = plan.container.filter((step) => step.do !== "enter-cgroup");
    expect(kinds(plan).slice(0, kinds(plan).indexOf("join-namespaces"))).toEqual(
      kinds(plan).filter((kind) => kind === "enter-cgroup"),
    );
    expect(arrival[0]).toMatchObject({
      do: "join-namespaces",
      pid: 77,
      startTime: 12345678901234567890n,
      flags: 0x6e02_0000n,
    });
    expect(arrival[1]?.do).toBe("wait-parent");
    expectOrder(plan, ["oom-score", "join-namespaces", "wait-parent", "set-session", "seccomp", "ids", "exec"]);
    expect(plan.teardown).toEqual([]);
  });

  test("is born in the container's cgroup on v2", () => {
    expect(plan.monitor).toMatchObject([{ do: "clone", flags: 0n }]);
  });
});
