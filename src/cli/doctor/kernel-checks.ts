/** The kernel: what containers are made of, control groups, limits. */
import { type Eyes, fail, type Finding, ok, warn } from "./finding.ts";

export function kernelChecks(eyes: Eyes): readonly Finding[] {
  return [...features(eyes), ...cgroups(eyes), ...limits(eyes)];
}

function* features({ read, has }: Eyes): Generator<Finding> {
  const version = (read("/proc/sys/kernel/osrelease") ?? "").trim();
  const [major = 0, minor = 0] = version.split(".").map(Number);
  yield major > 5 || (major === 5 && minor >= 10)
    ? ok("kernel", `Linux ${version}`)
    : fail("kernel", `Linux ${version} is older than 5.10`, "upgrade the kernel");
  const systems = read("/proc/filesystems") ?? "";
  const knows = (name: string): boolean =>
    new RegExp(String.raw`\t${name}$`, "m").test(systems) || has(`/sys/module/${name}`);
  yield knows("overlay")
    ? ok("kernel", "overlay file system")
    : fail(
        "kernel",
        "there is no overlay file system",
        "modprobe overlay, or build the kernel with CONFIG_OVERLAY_FS",
      );
  yield knows("erofs")
    ? ok("kernel", "EROFS file system")
    : warn("kernel", "there is no EROFS: layers are kept as directories, which is slower", "modprobe erofs");
  for (const kind of ["mnt", "pid", "net", "ipc", "uts", "user", "cgroup"]) {
    if (has(`/proc/self/ns/${kind}`)) continue;
    yield (kind === "user" || kind === "cgroup" ? warn : fail)(
      "kernel",
      `there are no ${kind} namespaces`,
      `build the kernel with CONFIG_NAMESPACES and those of ${kind}`,
    );
  }
  yield has("/proc/sys/kernel/seccomp/actions_avail")
    ? ok("kernel", "seccomp filters")
    : fail("kernel", "there are no seccomp filters", "build the kernel with CONFIG_SECCOMP_FILTER");
  const modules = read("/sys/kernel/security/lsm") ?? "";
  yield modules.includes("landlock")
    ? ok("kernel", "Landlock")
    : warn(
        "kernel",
        "Landlock is off or unseen: unpacking of archives is confined without it",
        "add landlock to the kernel's lsm= parameter",
      );
}

function* cgroups({ read, has, names }: Eyes): Generator<Finding> {
  const wanted = ["cpu", "memory", "pids"];
  const isUnified = has("/sys/fs/cgroup/cgroup.controllers");
  const there = isUnified
    ? (read("/sys/fs/cgroup/cgroup.controllers") ?? "").trim().split(" ")
    : names("/sys/fs/cgroup").flatMap((name) => name.split(","));
  yield isUnified
    ? ok("cgroups", "version 2")
    : warn("cgroups", "version 1: some limits are weaker", "boot with systemd.unified_cgroup_hierarchy=1");
  const missing = wanted.filter((name) => !there.includes(name));
  yield missing.length === 0
    ? ok("cgroups", `controllers ${wanted.join(", ")}`)
    : fail(
        "cgroups",
        `there is no controller ${missing.join(", ")}`,
        "boot with cgroup_enable=memory, or build the kernel with it",
      );
  if (!isUnified) return;
  const passed = (read("/sys/fs/cgroup/cgroup.subtree_control") ?? "").trim().split(" ");
  const kept = wanted.filter((name) => there.includes(name) && !passed.includes(name));
  if (kept.length > 0)
    yield warn(
      "cgroups",
      `the root does not delegate ${kept.join(", ")}`,
      "the engine does it at its start, where it may: see its log",
    );
}

interface Limit {
  readonly path: string;
  readonly least: number;
  readonly why: string;
}

const limitTable: readonly Limit[] = [
  { path: "fs/file-max", least: 100_000, why: "open files of the whole machine" },
  { path: "kernel/pid_max", least: 32_768, why: "processes of the whole machine" },
  { path: "kernel/threads-max", least: 32_768, why: "threads of the whole machine" },
  { path: "fs/inotify/max_user_instances", least: 512, why: "programs in containers that watch files" },
  { path: "fs/inotify/max_user_watches", least: 65_536, why: "files that they watch" },
  { path: "kernel/keys/maxkeys", least: 1000, why: "more containers than this have no keyrings" },
  {
    path: "net/ipv4/neigh/default/gc_thresh3",
    least: 4096,
    why: "more containers than this cannot talk to each other",
  },
  { path: "net/netfilter/nf_conntrack_max", least: 65_536, why: "connections through published ports" },
];

function* limits({ read }: Eyes): Generator<Finding> {
  for (const { path, least, why } of limitTable) {
    const text = read(`/proc/sys/${path}`);
    // What is not there does not limit.
    if (text === undefined) continue;
    const name = path.replaceAll("/", ".");
    yield Number(text) >= least
      ? ok("limits", `${name} is ${text.trim()}`)
      : warn(
          "limits",
          `${name} is ${text.trim()}: ${why}`,
          `sysctl -w ${name}=${least}, and the same in /etc/sysctl.d`,
        );
  }
  const files = /^Max open files\s+\S+\s+(\S+)/m.exec(read("/proc/self/limits") ?? "")?.[1] ?? "unlimited";
  yield files === "unlimited" || Number(files) >= 65_536
    ? ok("limits", `open files of a process: ${files}`)
    : warn(
        "limits",
        `a process may open ${files} files: too few for thousands of containers`,
        "LimitNOFILE= of the unit, or ulimit -Hn",
      );
}
