/** A config as dockerd makes it for `docker run --memory 64m --cpus 1.5 --pids-limit 100 busybox`, for tests. */
import { type CgroupLayout, defaultSeccompProfile } from "../kernel/index.ts";
import {
  defaultCapabilities,
  defaultDeviceRules,
  defaultMaskedPaths,
  defaultMounts,
  defaultReadonlyPaths,
} from "./defaults.ts";
import type { OciConfig } from "./oci-types.ts";

const mib = 1 << 20;

export const sampleConfig: OciConfig = {
  ociVersion: "1.3.0",
  process: {
    user: { uid: 1000, gid: 1000, additionalGids: [10] },
    args: ["sh", "-c", "true"],
    env: ["PATH=/bin"],
    cwd: "/work",
    capabilities: {
      bounding: defaultCapabilities,
      effective: defaultCapabilities,
      permitted: defaultCapabilities,
    },
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 2048 }],
    oomScoreAdj: 100,
  },
  root: { path: "/rootfs" },
  hostname: "web",
  mounts: [
    ...defaultMounts,
    { destination: "/data", source: "/srv/data", type: "bind", options: ["rbind", "rro", "rprivate"] },
  ],
  linux: {
    cgroupsPath: "/gantry/0123",
    namespaces: (["mount", "pid", "network", "ipc", "uts", "cgroup"] as const).map((type) => ({ type })),
    resources: {
      devices: defaultDeviceRules,
      memory: { limit: 64 * mib, swap: 128 * mib },
      cpu: { quota: 150_000, period: 100_000 },
      pids: { limit: 100 },
    },
    sysctl: { "net.ipv4.ip_unprivileged_port_start": "0" },
    maskedPaths: defaultMaskedPaths,
    readonlyPaths: defaultReadonlyPaths,
    seccomp: defaultSeccompProfile(defaultCapabilities),
  },
};

const v1 = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, `/sys/fs/cgroup/${name}`]));

export const v1Layout: CgroupLayout = {
  kind: "v1",
  controllers: {
    ...v1(["memory", "pids", "devices", "freezer", "cpuset", "blkio", "name=systemd"]),
    cpu: "/sys/fs/cgroup/cpu,cpuacct",
    cpuacct: "/sys/fs/cgroup/cpu,cpuacct",
  },
};

export const hybridLayout: CgroupLayout = {
  kind: "hybrid",
  controllers: v1(["memory", "cpu", "cpuacct", "pids", "devices", "freezer", "cpuset", "blkio"]),
  unified: "/sys/fs/cgroup/unified",
};

export const v2Layout: CgroupLayout = {
  kind: "v2",
  controllers: Object.fromEntries(
    ["cpuset", "cpu", "io", "memory", "pids"].map((name) => [name, "/sys/fs/cgroup"]),
  ),
  unified: "/sys/fs/cgroup",
};
