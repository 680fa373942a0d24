/** Configs that are nearly right: valid ones with a few fields changed to what the specification knows, or to nonsense. */
import fc from "fast-check";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Values for fields of these names: what is right somewhere, and what is at its edge. */
const vocabulary: Readonly<Record<string, readonly Json[]>> = {
  ociVersion: ["1.0.2", "1.3.0", "1.0.2-dev", "2.0.0", ""],
  type: [
    "bind",
    "tmpfs",
    "proc",
    "cgroup",
    "sysfs",
    "c",
    "b",
    "p",
    "u",
    "a",
    "user",
    "time",
    "mount",
    "pid",
    "RLIMIT_CORE",
    "none",
    "",
  ],
  path: ["/", "/bin/true", "relative", "/proc/self/ns/net", "", "/a/../b", "/\u0000"],
  options: [
    ["bind"],
    ["rbind", "ro"],
    ["rro", "rslave"],
    ["idmap"],
    ["ridmap", "bind"],
    ["tmpcopyup"],
    ["remount"],
    ["size=1"],
    ["nosuid", "", "x".repeat(5000)],
    ["copy-symlink", "dest-nofollow"],
  ],
  destination: ["/", "/a", "a/b", "/proc", "/dev/shm", "/../x", "", "/sys/fs/cgroup"],
  source: ["/", "tmpfs", "relative", "", "/no/such"],
  args: [["true"], [], [""], ["sh", "-c", "x".repeat(70_000)]],
  env: [["A=1"], ["A"], ["=b"], ["PATH="], []],
  cwd: ["/", "x", "", "/a/b"],
  action: [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_LOG",
    "SCMP_ACT_KILL",
    "SCMP_ACT_X",
  ],
  defaultAction: [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_KILL_PROCESS",
  ],
  names: [["read", "write"], ["no_such_call"], [], ["open", "open", "clone", "socketcall"], [""]],
  op: ["SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_GT", "SCMP_CMP_NE", "X"],
  architectures: [["SCMP_ARCH_X86_64"], ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"], [], ["X"]],
  flags: [
    [],
    ["SECCOMP_FILTER_FLAG_LOG"],
    ["SECCOMP_FILTER_FLAG_TSYNC"],
    ["MPOL_F_STATIC_NODES"],
    ["SCHED_FLAG_RESET_ON_FORK"],
  ],
  cgroupsPath: ["/a", "/a/b/c", "system.slice:x:y", "", "/", "a", "/a/../b", "/.", `/${"x".repeat(300)}`],
  rootfsPropagation: ["private", "rslave", "rshared", "unbindable", "x", ""],
  cpus: ["0", "0-1", "1-0", "0,0", "", "4096", "-1"],
  mems: ["0", "1", ""],
  nodes: ["0", "0-3", ""],
  mode: ["MPOL_BIND", "MPOL_DEFAULT", "MPOL_PREFERRED"],
  domain: ["LINUX", "LINUX32", "X"],
  policy: ["SCHED_OTHER", "SCHED_FIFO", "SCHED_DEADLINE", "SCHED_IDLE"],
  class: ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_IDLE", "X"],
  closID: ["a", "/", "..", ""],
  pageSize: ["2MB", "1GB", "64KB", "0MB"],
  fileMode: [0o666, 0o20666, 0, 70_000],
  hostname: ["a", "x".repeat(65), "", "a b"],
  bounding: [["CAP_CHOWN"], ["CAP_X"], []],
  ambient: [["CAP_CHOWN", "CAP_NET_RAW"]],
};

/** Parts that configs seldom have, at their place. */
const parts: readonly (readonly [path: string, value: Json])[] = [
  ["linux/uidMappings", [{ containerID: 0, hostID: 0, size: 65_536 }]],
  ["linux/gidMappings", [{ containerID: 0, hostID: 100_000, size: 65_536 }]],
  ["linux/namespaces", [{ type: "user" }, { type: "mount" }, { type: "pid" }, { type: "time" }]],
  [
    "linux/namespaces",
    [{ type: "network", path: "/proc/1/ns/net" }, { type: "mount" }, { type: "pid", path: "/proc/1/ns/pid" }],
  ],
  ["linux/namespaces", []],
  ["linux/timeOffsets", { monotonic: { secs: -5, nanosecs: 999_999_999 }, boottime: { secs: 2 ** 40 } }],
  ["linux/netDevices", { eth0: { name: "lan%d" }, eth1: {} }],
  ["linux/memoryPolicy", { mode: "MPOL_INTERLEAVE", nodes: "0-1", flags: ["MPOL_F_STATIC_NODES"] }],
  [
    "linux/intelRdt",
    { closID: "x", l3CacheSchema: "L3:0=ff", schemata: ["MB:0=10"], enableMonitoring: true },
  ],
  ["linux/personality", { domain: "LINUX32" }],
  ["linux/mountLabel", "system_u:object_r:x:s0"],
  [
    "linux/devices",
    [
      { path: "/dev/x", type: "c", major: 1, minor: 3, fileMode: 438, uid: 0, gid: 0 },
      { path: "/dev/p", type: "p" },
    ],
  ],
  ["linux/resources/unified", { "memory.high": "1000000", "io.weight": "default 100", "cpu.idle": "1" }],
  ["linux/resources/unified", { "constructor.x": "1", "__proto__.x": "1" }],
  ["linux/resources/rdma", { mlx5_1: { hcaHandles: 3, hcaObjects: 10_000 } }],
  ["linux/resources/hugepageLimits", [{ pageSize: "2MB", limit: 0 }]],
  ["linux/resources/network", { classID: 1_048_577, priorities: [{ name: "eth0", priority: 5 }] }],
  [
    "linux/resources/blockIO",
    {
      weight: 10,
      leafWeight: 10,
      weightDevice: [{ major: 8, minor: 0, weight: 500 }],
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }],
    },
  ],
  [
    "linux/resources/cpu",
    {
      shares: 2,
      quota: 1000,
      burst: 1000,
      period: 1000,
      cpus: "0",
      mems: "0",
      idle: 1,
      realtimeRuntime: 950_000,
      realtimePeriod: 1_000_000,
    },
  ],
  [
    "linux/resources/memory",
    {
      limit: 1,
      reservation: 1,
      swap: 2,
      swappiness: 0,
      disableOOMKiller: true,
      checkBeforeUpdate: true,
      kernel: -1,
      kernelTCP: -1,
    },
  ],
  [
    "linux/resources/devices",
    [
      { allow: false, access: "rwm" },
      { allow: true, type: "b", major: 8, access: "r" },
    ],
  ],
  ["linux/seccomp/listenerPath", "/run/agent"],
  [
    "process/scheduler",
    { policy: "SCHED_DEADLINE", runtime: 1e7, deadline: 2e7, period: 3e7, flags: ["SCHED_FLAG_RECLAIM"] },
  ],
  ["process/ioPriority", { class: "IOPRIO_CLASS_BE", priority: 4 }],
  ["process/execCPUAffinity", { initial: "0", final: "0-1" }],
  ["process/terminal", true],
  ["process/consoleSize", { height: 24, width: 80 }],
  ["process/apparmorProfile", "x"],
  ["process/selinuxLabel", "x"],
  ["root/readonly", true],
  [
    "hooks",
    {
      createRuntime: [{ path: "/bin/true", timeout: 1 }],
      createContainer: [{ path: "/a", args: [], env: ["x"] }],
      startContainer: [{ path: "/b", args: ["\u00e4"] }],
      prestart: [{ path: "/c" }],
    },
  ],
  ["annotations", { "org.x": "ä€😀" }],
];

const nonsense: readonly Json[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  0.5,
  255,
  256,
  65_535,
  65_536,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53,
  2 ** 63,
  2 ** 64,
  1e300,
  -1e300,
  -(2 ** 63),
  "",
  "/",
  "a",
  "\u0000",
  "\n",
  "\ud800",
  "ä€😀",
  "x".repeat(10_000),
  "../..",
  "%d",
  "__proto__",
  "constructor",
  "toString",
  [],
  {},
  [[]],
  [null],
  [{}],
  { "": null },
  [0, "a", {}],
];

/** One change; `at` picks a place in the tree and `with_` what is done there. */
interface Change {
  readonly at: number;
  readonly how: "nonsense" | "word" | "part" | "remove" | "twice" | "mapKey";
  readonly which: number;
}

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(),
  how: fc.constantFrom("nonsense", "word", "word", "part", "part", "remove", "twice", "mapKey"),
  which: fc.nat(),
});

/** A config and how it was changed. */
export function configs(bases: readonly Json[]): fc.Arbitrary<Json> {
  return fc
    .record({ base: fc.nat(bases.length - 1), changes: fc.array(change, { maxLength: 5 }) })
    .map(({ base, changes }) => changes.reduce(apply, structuredClone(bases[base] ?? null)));
}

type Tree = Record<string, Json>;

interface Place {
  readonly holder: Tree;
  readonly key: string;
}

/** Every place of the tree, arrays' elements by their index. */
function places(tree: Json, found: Place[] = []): Place[] {
  if (typeof tree !== "object" || tree === null) return found;
  for (const [key, value] of Object.entries(tree)) {
    found.push({ holder: tree as Tree, key });
    places(value, found);
  }
  return found;
}

function apply(config: Json, { at, how, which }: Change): Json {
  if (how === "part") return withPart(config, parts[which % parts.length] ?? ["", null]);
  const all = places(config);
  const wanted = how === "word" ? all.filter(({ key }) => Object.hasOwn(vocabulary, key)) : all;
  const place = wanted[at % wanted.length];
  if (place === undefined) return nonsense[which % nonsense.length] ?? null;
  const { holder, key } = place;
  const words = vocabulary[key] ?? [];
  const value = holder[key] ?? null;
  if (how === "nonsense") holder[key] = structuredClone(nonsense[which % nonsense.length] ?? null);
  else if (how === "word") holder[key] = structuredClone(words[which % words.length] ?? null);
  else if (how === "mapKey" && !Array.isArray(holder))
    setOwn(holder, String(nonsense[which % nonsense.length]), structuredClone(value));
  else if (how === "twice" && Array.isArray(value)) holder[key] = [...value, ...structuredClone(value)];
  else if (how === "remove" && Array.isArray(holder)) holder.splice(Number(key), 1);
  else if (how === "remove") delete holder[key];
  return config;
}

/** Also for `__proto__`, as JSON.parse does it. */
function setOwn(holder: Tree, key: string, value: Json): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

function withPart(config: Json, [path, value]: readonly [string, Json]): Json {
  let at = config;
  const keys = path.split("/");
  const last = keys.pop() ?? "";
  for (const key of keys) {
    if (typeof at !== "object" || at === null || Array.isArray(at)) return config;
    const holder = at as Tree;
    holder[key] ??= {};
    at = holder[key] ?? null;
  }
  if (typeof at === "object" && at !== null && !Array.isArray(at))
    (at as Tree)[last] = structuredClone(value);
  return config;
}
