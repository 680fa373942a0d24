/** One step of each kind, for tests that must know them all. */
import type { ContainerStep, HookStep, MonitorStep, Plan } from "./plan-step.ts";

const message = {
  message: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  pidOffset: 4,
  description: "make the link eth0",
};
const sets = { bounding: 1n, effective: 3n, permitted: 7n, inheritable: 0n, ambient: 0n };

const hook: HookStep = {
  do: "run-hook",
  label: "createRuntime hook #0",
  path: "/bin/hook",
  argv: ["hook", "a"],
  env: ["A=1"],
  seconds: 2,
  state: '{"pid":        }',
  pidAt: 7,
  cwd: "/bundle",
};

const monitor: readonly MonitorStep[] = [
  { do: "make-dir", path: "/m", mode: 0o755, parents: true },
  { do: "write-file", path: "/f", data: "a\0b", openFlags: 64 },
  { do: "clone", flags: 0x2000_0000n, intoCgroup: "/cg" },
  { do: "join-cgroup", dir: "/cg" },
  {
    do: "netlink",
    protocol: 0,
    messages: [message, { message: message.message, description: "make it up" }],
  },
  { do: "cgroup-devices", dir: "/cg", program: new Uint8Array(16) },
  { do: "write-pid-file", path: "/pid" },
  { do: "become-parent" },
  { do: "private-mounts", hide: ["/sys/fs/cgroup/unified"] },
  { do: "console-listen", path: "/c.sock" },
  {
    do: "run-program",
    argv: ["/usr/bin/runc", "create", "x"],
    env: ["PATH=/bin"],
    seconds: 5,
    stdio: true,
    logPath: "/log",
  },
  { do: "adopt", pidFile: "/pid" },
  { do: "child-netlink", protocol: 0, messages: [message] },
];

const container: readonly ContainerStep[] = [
  { do: "join-namespaces", pid: -1, startTime: 2n ** 60n, flags: 0x2_0000n },
  { do: "join-namespace", path: "/proc/1/ns/net", flag: 0x4000_0000n },
  { do: "enter-cgroup", dir: "/cg" },
  { do: "wait-parent" },
  { do: "unshare", flags: 0x200_0000n },
  { do: "mount-propagation", path: "/", flags: 0x8_4000n },
  { do: "overlay", target: "/t", lowers: ["/l1", "/l2"], upper: "/u", work: "/w", options: "metacopy=on" },
  { do: "root", path: "/t", flags: 0n },
  {
    do: "mount",
    source: "proc",
    inside: "/proc",
    fstype: "proc",
    flags: 14n,
    data: "hidepid=1",
    makeTarget: true,
    plain: true,
    fallback: "/p",
  },
  {
    do: "bind",
    source: "/s",
    inside: "/i",
    flags: 1n,
    attrSet: 1n,
    attrClear: 0x70n,
    recursive: true,
    makeTarget: "as-source",
    propagation: 0x4_0000n,
    attrUnset: 2n,
    placeLink: true,
  },
  { do: "mount-attributes", inside: "/i", set: 1n, clear: 2n },
  { do: "remount", inside: "/i", set: 1n, clear: 2n, unset: 4n, data: "size=1m" },
  { do: "private-parent", path: "/t" },
  { do: "root-propagation", flags: 0x10_0000n },
  { do: "make-node", inside: "/dev/null", mode: 0o020666, major: 1, minor: 3, uid: 4, gid: 5 },
  { do: "symlink", target: "pts/ptmx", inside: "/dev/ptmx" },
  { do: "make-inside-dir", inside: "/d", mode: 0o700, uid: 1, gid: 2 },
  { do: "ask-hooks" },
  { ...hook, label: "createContainer hook #0", cwd: "/rootfs" },
  { do: "pivot-root" },
  { do: "mask", path: "/proc/kcore" },
  { do: "read-only", path: "/proc/sys" },
  { do: "remount-root", flags: 1n },
  { do: "hostname", name: "häus" },
  { do: "domainname", name: "local" },
  { do: "sysctl", key: "net.core.somaxconn", value: "128" },
  { do: "rlimit", resource: 7, soft: 1n, hard: 0xffff_ffff_ffff_ffffn },
  { do: "console", bindDevConsole: true },
  { do: "set-session" },
  { do: "capabilities", sets, phase: "bound" },
  { do: "ids", uid: 0xffff_fffe, gid: 2, groups: [3, 4], umask: 0o22 },
  { do: "no-new-privs" },
  { do: "seccomp", program: new Uint8Array(24), flags: 2 },
  { do: "chdir", path: "/work", make: true },
  { do: "parent-death-signal", signal: 9 },
  { do: "keyring", name: "_ses.1" },
  { do: "oom-score", value: -500 },
  { do: "wait-start", fifo: "/run/fifo" },
  { do: "exec", argv: ["sh", "-c", "a b"], env: ["A=1"], useInit: true },
];

const teardown: readonly MonitorStep[] = [
  { do: "remove-cgroup", dir: "/cg", optional: true },
  { do: "remove-file", path: "/f" },
];

export const everyStep: Plan = { monitor, hooks: [hook], container, teardown };
