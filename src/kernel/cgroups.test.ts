import { describe, expect, test } from "bun:test";

import { parseCgroupLayout } from "./cgroups.ts";

const table = [
  "#subsys_name\thierarchy\tnum_cgroups\tenabled",
  "cpuset\t3\t1\t1",
  "cpu\t1\t1\t1",
  "cpuacct\t2\t1\t1",
  "memory\t4\t20\t1",
  "devices\t5\t1\t1",
  "freezer\t6\t1\t1",
  "net_cls\t0\t1\t0",
  "pids\t8\t1\t1",
  "",
].join("\n");

const root = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw";
const tmpfs = "30 23 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755";

function v1(point: string, options: string): string {
  return `31 30 0:27 / ${point} rw,nosuid,nodev,noexec,relatime shared:10 - cgroup cgroup rw,${options}`;
}
function v2(point: string): string {
  return `40 30 0:28 / ${point} rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate`;
}

const joined = v1("/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct");
const memory = v1("/sys/fs/cgroup/memory", "memory");
const systemd = v1("/sys/fs/cgroup/systemd", "xattr,release_agent=/lib/x,name=systemd");

describe("where the hierarchies are", () => {
  test.each([
    {
      name: "v1",
      mounts: [root, tmpfs, joined, memory, systemd],
      want: {
        kind: "v1",
        controllers: {
          cpu: "/sys/fs/cgroup/cpu,cpuacct",
          cpuacct: "/sys/fs/cgroup/cpu,cpuacct",
          memory: "/sys/fs/cgroup/memory",
          "name=systemd": "/sys/fs/cgroup/systemd",
        },
      },
    },
    {
      name: "hybrid: cgroup2 beside v1, with the controllers that v1 has not taken",
      mounts: [root, tmpfs, v2("/sys/fs/cgroup/unified"), memory],
      unified: { "/sys/fs/cgroup/unified": "hugetlb\n" },
      want: {
        kind: "hybrid",
        controllers: { memory: "/sys/fs/cgroup/memory", hugetlb: "/sys/fs/cgroup/unified" },
        unified: "/sys/fs/cgroup/unified",
      },
    },
    {
      name: "v2",
      mounts: [root, v2("/sys/fs/cgroup")],
      unified: { "/sys/fs/cgroup": "cpuset cpu io memory pids\n" },
      want: {
        kind: "v2",
        controllers: {
          cpuset: "/sys/fs/cgroup",
          cpu: "/sys/fs/cgroup",
          io: "/sys/fs/cgroup",
          memory: "/sys/fs/cgroup",
          pids: "/sys/fs/cgroup",
        },
        unified: "/sys/fs/cgroup",
      },
    },
    {
      name: "v2 without controllers",
      mounts: [v2("/sys/fs/cgroup")],
      unified: { "/sys/fs/cgroup": "\n" },
      want: { kind: "v2", controllers: {}, unified: "/sys/fs/cgroup" },
    },
    {
      name: "the first mount of a hierarchy counts, odd names are decoded",
      mounts: [v1("/my\\040cgroups/memory", "memory"), memory, v1("/x", "net_cls")],
      want: { kind: "v1", controllers: { memory: "/my cgroups/memory" } },
    },
    {
      name: "mounts without optional fields",
      mounts: ["31 30 0:27 / /c/pids rw - cgroup none rw,pids"],
      want: { kind: "v1", controllers: { pids: "/c/pids" } },
    },
  ] as const)("$name", ({ mounts, want, ...rest }) => {
    const unified: Record<string, string> = "unified" in rest ? { ...rest.unified } : {};
    expect(parseCgroupLayout(`${mounts.join("\n")}\n`, table, (point) => unified[point] ?? "")).toEqual({
      ...want,
    });
  });

  test("none at all is said, with the remedy", () => {
    expect(() => parseCgroupLayout(root, table, () => "")).toThrow("no cgroup file system is mounted");
  });
});
