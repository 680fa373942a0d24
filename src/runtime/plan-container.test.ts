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
    expect(new Set(order.slice(0, arrived))).toEqual(new Set(["enter-cgroup", "oom-score"]));
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
    const arrival = joined.container.filter(
      ({ do: kind }) => kind !== "enter-cgroup" && kind !== "oom-score",
    );
    expect(
      arrival
        .slice(0, 2)
        .map((step) => (step.do === "join-paths" ? step.namespaces.map(({ path }) => path).join() : step.do)),
    ).toEqual(["/proc/7/ns/net,/proc/7/ns/pid", "wait-parent"]);
  });
});

describe("what is refused", () => {
  test.each(["net/../vm/swappiness", "net.//.vm.swappiness", "net..vm.swappiness", "net/./ipv4/ip_forward"])(
    "%s is no kernel setting's name: it leads elsewhere",
    (key) => {
      const input = withLinux({ namespaces: [{ type: "network" }], sysctl: { [key]: "1" } });
      expect(() => planContainer(input)).toThrow("is not a kernel setting's name");
    },
  );

  test.each([
    {
      name: "a new user namespace without maps",
      input: withLinux({ namespaces: [{ type: "mount" }, { type: "user" }] }),
      code: "invalid",
      words: "linux.uidMappings",
    },
    {
      name: "a kernel setting of the whole machine",
      input: withLinux({ namespaces: [{ type: "mount" }], sysctl: { "vm.swappiness": "1" } }),
      code: "invalid",
      words: 'linux.sysctl.vm.swappiness: sysctl "vm.swappiness" is not in a separate kernel namespace',
    },
    {
      name: "a network setting without a network of its own",
      input: withLinux({ namespaces: [{ type: "mount" }], sysctl: { "net/ipv4/ip_forward": "1" } }),
      code: "invalid",
      words: 'sysctl "net.ipv4.ip_forward" not allowed in host network namespace',
    },
    {
      name: "a network device without a network of its own",
      input: withLinux({ namespaces: [{ type: "mount" }], sysctl: {}, netDevices: { eth1: {} } }),
      code: "invalid",
      words: "without a private NET namespace",
    },
    {
      name: "a listener that is not named",
      input: withLinux({
        seccomp: {
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
        },
      }),
      code: "invalid",
      words: "seccomp listenerPath is not set",
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

describe("process settings", () => {
  const of = (change: object, kind: string): object | undefined =>
    planContainer(withProcess(change)).plan.container.find((step) => step.do === kind);

  test("an unknown capability is passed over with a warning", () => {
    const { plan: planned, warnings } = planContainer(
      withProcess({ capabilities: { bounding: ["CAP_X", "CAP_KILL"], effective: ["CAP_X"] } }),
    );
    expect(warnings).toEqual(["ignoring unknown or unavailable capabilities: CAP_X"]);
    expect(planned.container.find((step) => step.do === "capabilities")).toMatchObject({
      sets: { bounding: 0x20n },
    });
  });

  test.each([
    ["SCHED_BATCH", { policy: "SCHED_BATCH", nice: 5 }, { policy: 3, nice: 5, priority: 0, flags: 0n }],
    [
      "SCHED_FIFO",
      { policy: "SCHED_FIFO", priority: 7, flags: ["SCHED_FLAG_RESET_ON_FORK"] },
      { policy: 1, priority: 7, flags: 1n },
    ],
    [
      "SCHED_DEADLINE",
      { policy: "SCHED_DEADLINE", runtime: 1e6, deadline: 5e6, period: 1e7 },
      { policy: 6, runtime: 1_000_000n, deadline: 5_000_000n, period: 10_000_000n },
    ],
  ])("%s", (_, scheduler, want) => {
    expect(of({ scheduler }, "scheduler")).toMatchObject(want);
  });

  test("I/O priority", () => {
    const ioPriority = { class: "IOPRIO_CLASS_IDLE", priority: 3 };
    expect(of({ ioPriority }, "io-priority")).toMatchObject({ value: (3 << 13) | 3 });
  });

  test("memory policy and execution domain", () => {
    const memoryPolicy = { mode: "MPOL_BIND", nodes: "0-1,64", flags: ["MPOL_F_STATIC_NODES"] };
    const steps = planContainer(withLinux({ memoryPolicy, personality: { domain: "LINUX32" } })).plan
      .container;
    const nodes = new Uint8Array(16);
    nodes.set([3], 0);
    nodes.set([1], 8);
    expect(steps.find((step) => step.do === "memory-policy")).toMatchObject({ mode: 0x8002, nodes });
    expect(steps.find((step) => step.do === "personality")).toMatchObject({ value: 8 });
  });

  test("labels are set while the host's /proc is in sight", () => {
    const { container } = planContainer(withProcess({ apparmorProfile: "p", selinuxLabel: "a:b:c" })).plan;
    const labels = container.filter((step) => step.do === "security-label");
    expect(labels).toMatchObject([
      { module: "apparmor", label: "p" },
      { module: "selinux", label: "a:b:c" },
    ]);
    expect(container.findIndex((step) => step.do === "security-label")).toBeLessThan(
      container.findIndex((step) => step.do === "root"),
    );
    expect(container.find((step) => step.do === "keyring")).toMatchObject({
      label: "a:b:c",
      rights: 0x80000,
    });
  });

  test("a mount label is for file systems that have none of their own", () => {
    const mounts = [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=1m"] },
    ];
    const config = { ...sampleConfig, mounts, linux: { ...sampleConfig.linux, mountLabel: "a:b:c,d" } };
    const steps = planContainer({ ...base, config }).plan.container.filter((step) => step.do === "mount");
    expect(steps.map(({ data }) => data)).toEqual(["", 'size=1m,context="a:b:c,d"']);
  });

  test("a listener is told the state, with the pid where it belongs", () => {
    const seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerPath: "/run/agent",
      listenerMetadata: "hi",
      syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
    };
    const step = planContainer(withLinux({ seccomp })).plan.container.find(
      ({ do: kind }) => kind === "seccomp-listener",
    );
    if (step?.do !== "seccomp-listener") throw new Error("no listener");
    expect(step.path).toBe("/run/agent");
    expect(JSON.parse(step.state.join("5"))).toMatchObject({
      fds: ["seccompFd"],
      metadata: "hi",
      pid: 5,
      state: { status: "creating", pid: 5 },
    });
  });

  test("affinity: all CPUs at the start; for an exec as the config says, around the cgroup", () => {
    expect(of({}, "cpu-affinity")).toMatchObject({ cpus: new Uint8Array(), optional: true });
    const { plan: exec } = planExec({
      process: { cwd: "/", args: ["sh"], execCPUAffinity: { initial: "0", final: "1-2" } },
      target: { pid: 77, startTime: "1" },
      containerConfig: sampleConfig,
      cgroups: v2Layout,
    });
    expect(exec.monitor[0]).toMatchObject({
      do: "cpu-affinity",
      cpus: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0),
    });
    expect(exec.container.find((step) => step.do === "cpu-affinity")).toMatchObject({
      cpus: Uint8Array.of(6, 0, 0, 0, 0, 0, 0, 0),
    });
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
    expect(arrival[0]).toMatchObject({ do: "oom-score" });
    expect(arrival[1]).toMatchObject({
      do: "join-namespaces",
      pid: 77,
      startTime: 12345678901234567890n,
      flags: 0x6e02_0000n,
    });
    expect(arrival[2]?.do).toBe("wait-parent");
    expectOrder(plan, [
      "oom-score",
      "join-namespaces",
      "wait-parent",
      "set-session",
      "seccomp",
      "ids",
      "exec",
    ]);
    expect(plan.teardown).toEqual([]);
  });

  test("is born in the container's cgroup on v2", () => {
    expect(plan.monitor).toMatchObject([{ do: "clone", flags: 0n }]);
  });
});
