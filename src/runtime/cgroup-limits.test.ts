import { expect, test } from "bun:test";
import type { CgroupLayout } from "../kernel/index.ts";
import { limitWrites } from "./cgroup-limits.ts";
import { ioWeight } from "./cgroup-limits-io.ts";
import type { OciResources } from "./oci-types.ts";
import { hybridLayout, v1Layout, v2Layout } from "./sample.test-data.ts";

const written = (layout: CgroupLayout, resources: OciResources): readonly string[] =>
  limitWrites(layout, resources).writes.map(
    ({ file, value, otherwise = [], missingIsFine }) =>
      `${file}=${value}${otherwise.map((way) => `|${way.file}=${way.value}`).join("")}${missingIsFine === true ? "?" : ""}`,
  );
const device = { major: 8, minor: 16 };
const unifiedHugetlb: CgroupLayout = {
  ...hybridLayout,
  controllers: { ...hybridLayout.controllers, hugetlb: "/sys/fs/cgroup/unified" },
};

test.each<[string, OciResources, readonly string[], readonly string[]]>([
  ["memory", { memory: { limit: 5, reservation: 3, swap: 8 } }, ["memory.limit_in_bytes=5", "memory.memsw.limit_in_bytes=8", "memory.soft_limit_in_bytes=3"], ["memory.max=5", "memory.swap.max=3", "memory.low=3"]],
  ["no limit of memory", { memory: { limit: -1 } }, ["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1?"], ["memory.max=max", "memory.swap.max=max?"]],
  ["no swap", { memory: { limit: 5, swap: 5 } }, ["memory.limit_in_bytes=5", "memory.memsw.limit_in_bytes=5"], ["memory.max=5", "memory.swap.max=0?"]],
  ["zeros are unset", { memory: { limit: 0, swap: 0, reservation: 0, kernelTCP: 0 }, cpu: { shares: 0, quota: 0, period: 0, cpus: "", mems: "" } }, [], []],
  ["kernel is ignored", { memory: { kernel: 5 } }, [], []],
  ["swappiness unset in Go's words", { memory: { swappiness: 2 ** 64 } }, [], []],
  ["hierarchies", { memory: { useHierarchy: true } }, ["memory.use_hierarchy=1?"], []],
  ["cpu", { cpu: { shares: 1024, quota: 5, period: 9, burst: 2 } }, ["cpu.shares=1024", "cpu.cfs_period_us=9", "cpu.cfs_quota_us=5", "cpu.cfs_burst_us=2"], ["cpu.weight=100", "cpu.max=5 9", "cpu.max.burst=2"]],
  ["idle after its weight", { cpu: { shares: 1024, idle: 1 } }, ["cpu.shares=1024", "cpu.idle=1"], ["cpu.weight=100", "cpu.idle=1"]],
  ["awake before its weight", { cpu: { shares: 1024, idle: 0 } }, ["cpu.idle=0", "cpu.shares=1024"], ["cpu.idle=0", "cpu.weight=100"]],
  ["sets", { cpu: { cpus: "0-1", mems: "0" } }, ["cpuset.cpus=0-1", "cpuset.mems=0"], ["cpuset.cpus=0-1", "cpuset.mems=0"]],
  ["no limit of processes", { pids: { limit: -1 } }, ["pids.max=max"], ["pids.max=max"]],
  ["no process", { pids: { limit: 0 } }, ["pids.max=1"], ["pids.max=1"]],
  ["weights", { blockIO: { weight: 500, weightDevice: [{ ...device, weight: 10 }] } }, ["blkio.weight=500|blkio.bfq.weight=500", "blkio.weight_device=8:16 10|blkio.bfq.weight_device=8:16 10"], ["io.bfq.weight=500|io.weight=default 4950", "io.bfq.weight=8:16 10|io.weight=8:16 1"]],
  ["throttles", { blockIO: { throttleReadBpsDevice: [{ ...device, rate: 7 }], throttleWriteIOPSDevice: [{ ...device, rate: 0 }] } }, ["blkio.throttle.read_bps_device=8:16 7", "blkio.throttle.write_iops_device=8:16 0"], ["io.max=8:16 rbps=7", "io.max=8:16 wiops=max"]],
  ["huge pages", { hugepageLimits: [{ pageSize: "2MB", limit: 4 }] }, ["hugetlb.2MB.limit_in_bytes=4", "hugetlb.2MB.rsvd.limit_in_bytes=4?"], ["hugetlb.2MB.max=4", "hugetlb.2MB.rsvd.max=4?"]],
  ["rdma", { rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 4 } } }, ["rdma.max=mlx5_1 hca_handle=3 hca_object=4"], ["rdma.max=mlx5_1 hca_handle=3 hca_object=4"]],
])("%s", (_, resources, v1, v2) => {
  expect(written(v1Layout, resources)).toEqual([...v1]);
  expect(written(v2Layout, resources)).toEqual([...v2]);
}); // prettier-ignore

test("v1 only: leaf weights, real time, network", () => {
  const resources: OciResources = {
    blockIO: { leafWeight: 20, weightDevice: [{ ...device, leafWeight: 30 }] },
    cpu: { realtimeRuntime: 5, realtimePeriod: 9 },
    network: { classID: 7, priorities: [{ name: "eth0", priority: 2 }] },
    memory: { kernelTCP: 5, swappiness: 0, disableOOMKiller: true },
  };
  expect(written(v1Layout, resources)).toEqual([
    "memory.kmem.tcp.limit_in_bytes=5",
    "memory.swappiness=0",
    "memory.oom_control=1",
    "cpu.rt_period_us=9",
    "cpu.rt_runtime_us=5",
    "blkio.leaf_weight=20",
    "blkio.leaf_weight_device=8:16 30",
    "net_cls.classid=7",
    "net_prio.ifpriomap=eth0 2",
  ]);
  expect(limitWrites(v2Layout, resources).missing.map(({ path }) => path)).toEqual([
    "linux.resources.memory.disableOOMKiller",
    "linux.resources.memory.swappiness",
    "linux.resources.memory.kernelTCP",
    "linux.resources.cpu.realtimeRuntime",
    "linux.resources.blockIO.leafWeight",
    "linux.resources.blockIO.weightDevice",
    "linux.resources.network.classID",
    "linux.resources.network.priorities",
  ]);
});

test("hybrid: each controller by the interface of its mount", () => {
  expect(
    written(unifiedHugetlb, { hugepageLimits: [{ pageSize: "1GB", limit: 0 }], pids: { limit: 3 } }),
  ).toEqual(["pids.max=3", "hugetlb.1GB.max=0", "hugetlb.1GB.rsvd.max=0?"]);
});

test("unified: a line is a write", () => {
  expect(
    written(v2Layout, { unified: { "io.max": "8:0 rbps=1\n8:16 rbps=2\n", "misc.max": "sev 3" } }),
  ).toEqual(["io.max=8:0 rbps=1", "io.max=8:16 rbps=2", "misc.max=sev 3"]);
});

test("unified: a controller that is on v1 is missing, in runc's words", () => {
  expect(limitWrites(v1Layout, { unified: { "memory.min": "1" } }).missing).toEqual([
    {
      path: "linux.resources.unified.memory.min",
      why: expect.stringContaining("invalid configuration: it needs cgroup v2"),
    },
  ]);
});

test.each<[CgroupLayout, OciResources, string]>([
  [v2Layout, { unified: { "../x": "1" } }, "linux.resources.unified.../x: it must be the name of a file"],
  [v2Layout, { unified: { procs: "1" } }, "linux.resources.unified.procs: it must be CONTROLLER.PARAMETER"],
  [v2Layout, { memory: { swap: 5 } }, "linux.resources.memory.swap: a limit of memory plus swap needs"],
  [v2Layout, { memory: { limit: 9, swap: 5 } }, "linux.resources.memory.swap: memory plus swap must be"],
  [v1Layout, { cpu: { shares: 1 } }, "the minimum allowed cpu-shares is 2"],
  [v1Layout, { cpu: { shares: 300_000 } }, "the maximum allowed cpu-shares is 262144"],
  [v1Layout, { memory: { swappiness: 101 } }, "linux.resources.memory.swappiness: 101 is not from 0 to 100"],
])("%j: %j is refused", (layout, resources, why) => {
  expect(() => limitWrites(layout, resources)).toThrow(why);
});

test.each([
  [10, 1],
  [500, 4950],
  [1000, 10_000],
])("blkio.weight %d is io.weight %d", (weight, io) => {
  expect(ioWeight(weight)).toBe(io);
});
