import { expect, test } from "bun:test";
import { sampleConfig } from "./sample.test-data.ts";
import { findConfigProblems, validateConfig } from "./validate-config.ts";
import { validateProcess } from "./validate-process.ts";
import { validateResources } from "./validate-resources.ts";

const valid = structuredClone(sampleConfig);

/** The valid config with the value at a path replaced (undefined: removed). */
function changed(path: string, value: unknown): unknown {
  const copy: unknown = structuredClone(valid);
  const keys = path.split("/");
  let at = copy as Record<string, unknown>;
  for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
  const last = keys.at(-1) ?? "";
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

test("docker's config is valid, and comes back as it was", () => {
  expect(findConfigProblems(valid)).toEqual([]);
  expect(validateConfig(valid)).toEqual(sampleConfig);
});

test("null is what Go writes for nothing", () => {
  expect(findConfigProblems(changed("linux/resources/memory", null))).toEqual([]);
  const config = validateConfig(changed("linux/resources/memory", null));
  expect(Object.keys(config.linux?.resources ?? {})).not.toContain("memory");
});

test.each([
  ["ociVersion", undefined, "ociVersion", "is required"],
  ["ociVersion", "2.0", "ociVersion", "version 1.x.y"],
  ["root", undefined, "root", "is required"],
  ["root/path", "", "root.path", "must not be empty"],
  ["process/cwd", "work", "process.cwd", "absolute"],
  ["process/args", [], "process.args", "must name a program"],
  ["process/args", [""], "process.args[0]", "must not be empty"],
  ["process/args", ["a\0"], "process.args[0]", "NUL"],
  ["process/env", ["A=1", "B"], "process.env[1]", "NAME=VALUE"],
  ["process/user", { uid: -1, gid: 0 }, "process.user.uid", "from 0"],
  ["process/user", { uid: 1.5, gid: 0 }, "process.user.uid", "whole number"],
  ["process/rlimits", [{ type: "RLIMIT_X", soft: 1, hard: 1 }], "process.rlimits[0].type", "one of"],
  ["process/rlimits", [{ type: "RLIMIT_CPU", soft: 2, hard: 1 }], "process.rlimits[0].soft", "hard limit"],
  ["process/terminal", "yes", "process.terminal", "true or false"],
  ["process/oomScoreAdj", 2000, "process.oomScoreAdj", "-1000 to 1000"],
  ["mounts", {}, "mounts", "must be a list"],
  ["mounts", [{ destination: "/a", options: ["bind"] }], "mounts[0].source", "is required"],
  ["mounts", [{ destination: "/a" }], "mounts[0].type", "is required"],
  ["hooks/poststart", [{ path: "x" }], "hooks.poststart[0].path", "absolute"],
  ["annotations", { a: 1 }, "annotations.a", "must be a text"],
  ["linux/namespaces", [{ type: "mnt" }], "linux.namespaces[0].type", "one of"],
  [
    "linux/namespaces",
    [{ type: "mount" }, { type: "mount" }, { type: "uts" }, { type: "network" }],
    "linux.namespaces[1].type",
    "twice",
  ],
  ["linux/namespaces", [{ type: "mount" }, { type: "network" }], "hostname", "needs a uts namespace"],
  ["linux/sysctl", { "vm.swappiness": "1" }, 'linux.sysctl."vm.swappiness"', "whole host"],
  ["linux/sysctl", { "net.../x": "1" }, 'linux.sysctl."net.../x"', "not a kernel setting"],
  ["linux/devices", [{ path: "/dev/x", type: "c" }], "linux.devices[0].major", "is required"],
  ["linux/rootfsPropagation", "public", "linux.rootfsPropagation", "private"],
  ["linux/maskedPaths", ["proc"], "linux.maskedPaths[0]", "absolute"],
  ["linux/cgroupsPath", "/a/../b", "linux.cgroupsPath", ".."],
  ["linux/resources/memory", { limit: 5, swap: 3 }, "linux.resources.memory.swap", "below"],
  ["linux/resources/memory", { swap: 3 }, "linux.resources.memory.swap", "needs a memory limit"],
  ["linux/resources/cpu", { cpus: "1-" }, "linux.resources.cpu.cpus", "list such as"],
  ["linux/resources/pids", { limit: "many" }, "linux.resources.pids.limit", "whole number"],
  ["linux/resources/devices", [{ access: "rx" }], "linux.resources.devices[0].allow", "is required"],
  ["linux/seccomp", { defaultAction: "ALLOW" }, "linux.seccomp.defaultAction", "SCMP_ACT_ERRNO"],
  [
    "linux/seccomp",
    { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ action: "SCMP_ACT_ALLOW" }] },
    "linux.seccomp.syscalls[0].names",
    "name a system call",
  ],
  ["ociVersion", "1.0", "ociVersion", "version 1.x.y"],
  ["root/readonly", 1, "root.readonly", "true or false"],
  ["hostname", "a b", "hostname", "without spaces"],
  ["annotations", { "": "x" }, "annotations", "empty key"],
  ["process/consoleSize", { height: 1 }, "process.consoleSize.width", "is required"],
  ["process/consoleSize", { height: 1, width: 70_000 }, "process.consoleSize.width", "from 0 to 65535"],
  ["process/user", { uid: 0, gid: 0, umask: 512 }, "process.user.umask", "0 to 511"],
  [
    "process/user",
    { uid: 0, gid: 0, additionalGids: [4_294_967_295] },
    "process.user.additionalGids[0]",
    "from 0",
  ],
  ["process/capabilities/bounding", [5], "process.capabilities.bounding[0]", "must be a text"],
  [
    "process/rlimits",
    [
      { type: "RLIMIT_CPU", soft: 1, hard: 1 },
      { type: "RLIMIT_CPU", soft: 1, hard: 1 },
    ],
    "process.rlimits[1].type",
    "twice",
  ],
  ["process/rlimits", [{ type: "RLIMIT_CPU", soft: -1, hard: 1 }], "process.rlimits[0].soft", "hard limit"],
  ["process/apparmorProfile", 1, "process.apparmorProfile", "must be a text"],
  ["process/scheduler", {}, "process.scheduler.policy", "is required"],
  ["process/scheduler", { policy: "SCHED_X" }, "process.scheduler.policy", "one of"],
  ["process/scheduler", { policy: "SCHED_OTHER", nice: 20 }, "process.scheduler.nice", "-20 to 19"],
  ["process/scheduler", { policy: "SCHED_OTHER", priority: 1 }, "process.scheduler.priority", "SCHED_FIFO"],
  ["process/scheduler", { policy: "SCHED_FIFO" }, "process.scheduler.priority", "1 to 99"],
  [
    "process/scheduler",
    { policy: "SCHED_OTHER", deadline: 1 },
    "process.scheduler.deadline",
    "SCHED_DEADLINE only",
  ],
  ["process/scheduler", { policy: "SCHED_DEADLINE" }, "process.scheduler.runtime", "is required"],
  [
    "process/scheduler",
    { policy: "SCHED_DEADLINE", runtime: 3, deadline: 2 },
    "process.scheduler.runtime",
    "deadline",
  ],
  [
    "process/scheduler",
    { policy: "SCHED_DEADLINE", runtime: 1, deadline: 3, period: 2 },
    "process.scheduler.deadline",
    "period",
  ],
  ["process/scheduler", { policy: "SCHED_OTHER", flags: ["X"] }, "process.scheduler.flags[0]", "one of"],
  ["process/ioPriority", { class: "X", priority: 0 }, "process.ioPriority.class", "one of"],
  ["process/ioPriority", { class: "IOPRIO_CLASS_RT", priority: 8 }, "process.ioPriority.priority", "0 to 7"],
  ["process/execCPUAffinity", { initial: "a" }, "process.execCPUAffinity.initial", "list such as"],
  ["mounts", [{ type: "tmpfs" }], "mounts[0].destination", "is required"],
  ["mounts", [null], "mounts[0]", "must not be null"],
  [
    "mounts",
    [
      {
        destination: "/a",
        type: "bind",
        source: "/b",
        uidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
      },
    ],
    "mounts[0].gidMappings",
    "come together",
  ],
  [
    "mounts",
    [{ destination: "/a", type: "bind", source: "/b", options: ["idmap"] }],
    "mounts[0].options[0]",
    "user namespace",
  ],
  ["hooks", [], "hooks", "must be an object"],
  ["hooks/prestart", [{ path: "/x", timeout: 0 }], "hooks.prestart[0].timeout", "from 1"],
  ["hooks/createRuntime", [{ args: ["x"] }], "hooks.createRuntime[0].path", "is required"],
  ["linux/namespaces", [{ type: "mount", path: "x" }], "linux.namespaces[0].path", "absolute"],
  [
    "linux/uidMappings",
    [{ containerID: 0, hostID: 0, size: 1 }],
    "linux.uidMappings",
    "needs a user namespace",
  ],
  ["linux/timeOffsets", { monotonic: { secs: 1 } }, "linux.timeOffsets", "needs a time namespace"],
  ["linux/timeOffsets", { realtime: { secs: 1 } }, "linux.timeOffsets.realtime", "monotonic or boottime"],
  [
    "linux/timeOffsets",
    { monotonic: { nanosecs: 1e9 } },
    "linux.timeOffsets.monotonic.nanosecs",
    "999999999",
  ],
  ["linux/devices", [{ path: "/dev/x", type: "d" }], "linux.devices[0].type", "one of"],
  ["linux/netDevices", { "a/b": {} }, 'linux.netDevices."a/b"', "network device"],
  ["linux/netDevices", { a: { name: "c" }, b: { name: "c" } }, "linux.netDevices.b", "called c"],
  ["linux/netDevices", { a: { name: "much-too-long-name" } }, "linux.netDevices.a.name", "15 characters"],
  ["linux/sysctl", { "kernel.hostname": "other" }, 'linux.sysctl."kernel.hostname"', "contradicts hostname"],
  ["linux/sysctl", { "vm/swappiness": "1" }, 'linux.sysctl."vm/swappiness"', "whole host"],
  ["linux/personality", { domain: "BSD" }, "linux.personality.domain", "one of"],
  ["linux/personality", { domain: "LINUX", flags: ["X"] }, "linux.personality.flags", "must be empty"],
  ["linux/intelRdt", { closID: "a/b" }, "linux.intelRdt.closID", "without slashes"],
  ["linux/intelRdt", { memBwSchema: "L3:1" }, "linux.intelRdt.memBwSchema", "MB:"],
  ["linux/intelRdt", { schemata: ["a\nb"] }, "linux.intelRdt.schemata[0]", "single line"],
  ["linux/memoryPolicy", {}, "linux.memoryPolicy.mode", "is required"],
  ["linux/memoryPolicy", { mode: "MPOL_BIND" }, "linux.memoryPolicy.nodes", "is required for MPOL_BIND"],
  [
    "linux/memoryPolicy",
    { mode: "MPOL_LOCAL", nodes: "0" },
    "linux.memoryPolicy.nodes",
    "requires 0 nodes but got 1",
  ],
  [
    "linux/memoryPolicy",
    { mode: "MPOL_BIND", nodes: "0", flags: ["X"] },
    "linux.memoryPolicy.flags[0]",
    "one of",
  ],
  ["linux/resources/devices", [{ allow: true, type: "u" }], "linux.resources.devices[0].type", "one of"],
  [
    "linux/resources/devices",
    [{ allow: true, access: "x" }],
    "linux.resources.devices[0].access",
    "r, w and m",
  ],
  ["linux/resources/memory", { swappiness: 101 }, "linux.resources.memory.swappiness", "0 to 100"],
  ["linux/resources/memory", { limit: -2 }, "linux.resources.memory.limit", "from -1"],
  ["linux/resources/cpu", { period: 10 }, "linux.resources.cpu.period", "1000 to 1000000"],
  ["linux/resources/cpu", { quota: 10 }, "linux.resources.cpu.quota", "from 1000"],
  ["linux/resources/cpu", { quota: 1000, burst: 1001 }, "linux.resources.cpu.burst", "quota"],
  ["linux/resources/cpu", { idle: 2 }, "linux.resources.cpu.idle", "0 to 1"],
  ["linux/resources/pids", { limit: 2 ** 31 }, "linux.resources.pids.limit", "4194304"],
  ["linux/resources/blockIO", { weight: 5 }, "linux.resources.blockIO.weight", "10 to 1000"],
  [
    "linux/resources/blockIO",
    { weightDevice: [{ major: 1, minor: 1 }] },
    "linux.resources.blockIO.weightDevice[0]",
    "leafWeight",
  ],
  [
    "linux/resources/blockIO",
    { throttleReadBpsDevice: [{ major: 1, minor: 1 }] },
    "linux.resources.blockIO.throttleReadBpsDevice[0].rate",
    "is required",
  ],
  [
    "linux/resources/hugepageLimits",
    [{ pageSize: "2M", limit: 1 }],
    "linux.resources.hugepageLimits[0].pageSize",
    "page size",
  ],
  [
    "linux/resources/network",
    { priorities: [{ name: "eth0" }] },
    "linux.resources.network.priorities[0].priority",
    "is required",
  ],
  ["linux/resources/network", { classID: -1 }, "linux.resources.network.classID", "from 0"],
  ["linux/resources/rdma", { mlx: {} }, "linux.resources.rdma.mlx", "hcaHandles or hcaObjects"],
  ["linux/resources/unified", { "a/b": "1" }, 'linux.resources.unified."a/b"', "cgroup file"],
  [
    "linux/resources/unified",
    { "memory.high": 1 },
    'linux.resources.unified."memory.high"',
    "must be a text",
  ],
  [
    "linux/seccomp",
    { defaultAction: "SCMP_ACT_NOTIFY" },
    "linux.seccomp.defaultAction",
    "cannot be used as default action",
  ],
  ["linux/seccomp", { defaultAction: "SCMP_ACT_ALLOW", flags: ["X"] }, "linux.seccomp.flags[0]", "one of"],
  [
    "linux/seccomp",
    { defaultAction: "SCMP_ACT_ALLOW", architectures: ["X"] },
    "linux.seccomp.architectures[0]",
    "one of",
  ],
  [
    "linux/seccomp",
    { defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1 },
    "linux.seccomp.defaultErrnoRet",
    "SCMP_ACT_ERRNO",
  ],
  [
    "linux/seccomp",
    { defaultAction: "SCMP_ACT_ALLOW", listenerMetadata: "x" },
    "linux.seccomp.listenerMetadata",
    "needs a listenerPath",
  ],
  [
    "linux/seccomp",
    { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["x"], action: "SCMP_ACT_NOTIFY" }] },
    "linux.seccomp.listenerPath",
    "listenerPath is not set",
  ],
  [
    "linux/seccomp",
    {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        { names: ["x"], action: "SCMP_ACT_ERRNO", args: [{ index: 6, value: 1, op: "SCMP_CMP_EQ" }] },
      ],
    },
    "linux.seccomp.syscalls[0].args[0].index",
    "0 to 5",
  ],
] as const)("%s = %j is found at %s", (path, value, at, words) => {
  const finding = findConfigProblems(changed(path, value)).find((one) => one.path === at);
  expect(finding?.problem).toContain(words);
});

const userNamespace = [...(valid.linux?.namespaces ?? []), { type: "user" }];
const map = { containerID: 0, hostID: 1000, size: 10 };

test.each([
  [{ namespaces: userNamespace }, "linux.uidMappings", "is required for a new user namespace"],
  [
    { namespaces: userNamespace, uidMappings: [map, { ...map, containerID: 5 }] },
    "linux.uidMappings[1].containerID",
    "overlaps",
  ],
  [{ namespaces: userNamespace, uidMappings: [{ ...map, size: 0 }] }, "linux.uidMappings[0].size", "from 1"],
  [
    { namespaces: userNamespace, uidMappings: [{ ...map, size: 4_294_967_295 }] },
    "linux.uidMappings[0]",
    "beyond the last id",
  ],
  [
    {
      namespaces: userNamespace,
      uidMappings: Array.from({ length: 341 }, (_, i) => ({ containerID: i, hostID: i, size: 1 })),
    },
    "linux.uidMappings",
    "at most 340",
  ],
  [
    {
      namespaces: [...(valid.linux?.namespaces ?? []), { type: "time", path: "/x" }],
      timeOffsets: { monotonic: { secs: 1 } },
    },
    "linux.timeOffsets",
    "joined by path",
  ],
  [{ namespaces: [{ type: "uts" }, { type: "network" }] }, "linux.maskedPaths", "needs a mount namespace"],
] as const)("linux %j is found at %s", (linux, at, words) => {
  const config = { ...valid, linux: { ...valid.linux, ...linux } };
  expect(findConfigProblems(config).find(({ path }) => path === at)?.problem).toContain(words);
});

test.each([
  ["ociVersion", "1.0.2-dev"],
  ["process/capabilities/bounding", ["CAP_FLY"]],
  ["process/unheardOf", { a: [1] }],
  ["process/scheduler", { policy: "SCHED_DEADLINE", runtime: 1e6, deadline: 2e6, period: 3e6 }],
  ["process/scheduler", { policy: "SCHED_BATCH", nice: -5, flags: [] }],
  ["process/rlimits", [{ type: "RLIMIT_CORE", soft: 2 ** 64, hard: 2 ** 64 }]],
  ["mounts", [{ destination: "relative", type: "tmpfs", options: ["unheard-of", "size=1"] }]],
  ["mounts", [{ destination: "/", options: ["remount", "ro"] }]],
  [
    "mounts",
    [{ destination: "/a", source: "b", options: ["rbind", "idmap"], uidMappings: [map], gidMappings: [map] }],
  ],
  ["linux/cgroupsPath", "system.slice:docker:abc"],
  ["linux/resources/memory", { limit: 2 ** 63, swap: -1 }],
  ["linux/resources/cpu", { quota: -1, period: 0, shares: 0, cpus: "", mems: "0-1,3\n" }],
  ["linux/resources/pids", { limit: -5 }],
  ["linux/resources/unified", { "memory.high": "max", "hugetlb.2MB.max": "0" }],
  ["linux/intelRdt", { closID: "/", enableMonitoring: true }],
  ["linux/netDevices", { eth7: { name: "eth%d" }, eth8: { name: "eth%d" } }],
  ["linux/sysctl", { "net/ipv4/conf/eth0.1/forwarding": "1", "kernel.shm_rmid_forced": "0" }],
  ["linux/sysctl", { "kernel.hostname": "web" }],
  [
    "linux/seccomp",
    {
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 38,
      listenerPath: "/agent",
      syscalls: [{ names: ["x"], action: "SCMP_ACT_NOTIFY" }],
    },
  ],
] as const)("%s = %j is valid", (path, value) => {
  expect(findConfigProblems(changed(path, value))).toEqual([]);
});

test("resources and a process alone are checked the same way", () => {
  expect(() => validateResources({ cpu: { idle: 5 } }, "")).toThrow("cpu.idle: must be from 0 to 1");
  expect(() => validateResources([], "")).toThrow("must be an object");
  expect(() => validateProcess({ args: ["x"], cwd: "x" })).toThrow("process.cwd: must be an absolute path");
  expect(validateResources({ memory: null, cpu: { shares: 5 } }, "")).toEqual({ cpu: { shares: 5 } });
});

test("what JSON can hold of JavaScript's own names does no harm", () => {
  const hostile: unknown = JSON.parse(
    '{"ociVersion":"1.0.0","__proto__":{"root":{"path":"/"}},"hooks":{"__proto__":[]},"toString":1}',
  );
  expect(findConfigProblems(hostile)).toEqual([{ path: "root", problem: "is required" }]);
});

test.each([[undefined], [null], ["text"], [[]], [5]])("%j is no config", (value) => {
  expect(findConfigProblems(value)).toEqual([{ path: "config.json", problem: "must be an object" }]);
});

test("all findings are in one error, each with its path", () => {
  const config = { ...valid, ociVersion: 1, process: { args: [], cwd: "x" } };
  expect(() => validateConfig(config)).toThrow(
    "config.json has 3 errors:\n  ociVersion: must be a text\n  process.cwd: must be an absolute path\n  process.args: must name a program",
  );
});
