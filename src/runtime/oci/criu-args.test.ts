import { expect, test } from "bun:test";
import { dumpArgs, restoreArgs } from "./criu-args.ts";
import { commands } from "./commands.ts";
import { criuOptions } from "./criu-flags.ts";
import { parseFlags } from "./flags.ts";

const config = {
  ociVersion: "1.3.0",
  root: { path: "/bundle/rootfs" },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/data", type: "bind", source: "/srv/data", options: ["rbind"] },
    { destination: "/etc/hosts", type: "none", source: "/srv/hosts", options: ["bind", "ro"] },
  ],
  linux: {
    devices: [{ path: "/dev/fuse", type: "c", major: 10, minor: 229 } as const],
    maskedPaths: ["/proc/kcore"],
    namespaces: [
      { type: "pid" } as const,
      { type: "network", path: "/run/netns/a" } as const,
      { type: "uts", path: "/proc/5/ns/uts" } as const,
    ],
  },
};

const dumpOptions = (...words: string[]) =>
  criuOptions(parseFlags(commands["checkpoint"]?.flags ?? {}, words));
const restoreOptions = (...words: string[]) =>
  criuOptions(parseFlags(commands["restore"]?.flags ?? {}, words));
const dump = (...words: string[]) =>
  dumpArgs({
    config,
    pid: 42,
    options: dumpOptions(...words),
    joined: {},
    freezer: undefined,
    maskedFiles: [],
    cgroupBinds: [],
    hostFiles: [],
  }).join(" ");

test("a plain dump", () => {
  expect(dump("--image-path", "/img")).toBe(
    "dump --tree 42 --images-dir /img --log-file dump.log -v4 --manage-cgroups=soft --empty-ns net " +
      "--config /etc/criu/runc.conf --external mnt[/data]:/data --external mnt[/etc/hosts]:/etc/hosts " +
      "--external mnt[/dev/fuse]:/dev/fuse",
  );
});

test.each([
  ["--leave-running", "--leave-running"],
  ["--tcp-established", "--tcp-established"],
  ["--tcp-skip-in-flight", "--skip-in-flight"],
  ["--link-remap", "--link-remap"],
  ["--ext-unix-sk", "--ext-unix-sk"],
  ["--shell-job", "--shell-job"],
  ["--file-locks", "--file-locks"],
  ["--auto-dedup", "--auto-dedup"],
  ["--work-path=/w", "--work-dir /w"],
  ["--manage-cgroups-mode=strict", "--manage-cgroups=strict"],
  ["--parent-path=../before", "--prev-images-dir ../before --track-mem"],
  ["--page-server=10.0.0.1:77", "--page-server --address 10.0.0.1 --port 77"],
  ["--page-server=[fd00::1]:77", "--address fd00::1 --port 77"],
  ["--status-fd=9", "--status-fd 3"],
])("%s becomes %s", (flag, words) => expect(dump(flag)).toContain(` ${words} `));

test("lazy pages: criu itself serves them", () => {
  const words = dump("--lazy-pages", "--page-server=0.0.0.0:77");
  expect(words).toContain(" --lazy-pages ");
  expect(words).not.toContain("--page-server");
  expect(words).toContain("--address 0.0.0.0 --port 77");
});

test("a pre-dump takes memory alone", () => {
  expect(dump("--pre-dump", "--image-path=/img")).toBe(
    "pre-dump --tree 42 --images-dir /img --log-file dump.log -v4 --manage-cgroups=soft --empty-ns net " +
      "--config /etc/criu/runc.conf --track-mem",
  );
});

test("freezer, joined namespaces, masked files, v1 cgroup binds", () => {
  const words = dumpArgs({
    config: { ...config, mounts: [], annotations: { "org.criu.config": "" } },
    pid: 1,
    options: dumpOptions(),
    joined: { network: 77, pid: 78 },
    freezer: "/sys/fs/cgroup/freezer/c",
    maskedFiles: ["/proc/kcore"],
    cgroupBinds: [{ inside: "/sys/fs/cgroup/pids", source: "/x" }],
    hostFiles: ["file[18:4]", "", "file[18:4]"],
  }).join(" ");
  expect(words).toBe(
    "dump --tree 1 --images-dir checkpoint --log-file dump.log -v4 --manage-cgroups=soft --empty-ns net " +
      "--freeze-cgroup /sys/fs/cgroup/freezer/c --external net[77]:extRootNetNS --external pid[78]:extRootPidNS " +
      "--external mnt[/sys/fs/cgroup/pids]:/sys/fs/cgroup/pids --external mnt[/dev/fuse]:/dev/fuse " +
      "--external mnt[/proc/kcore]:/dev/null --external file[18:4]",
  );
});

test("restore: stdio, mounts and namespaces come from outside", () => {
  const words = restoreArgs({
    config,
    options: restoreOptions(
      "--image-path=/img",
      "--shell-job",
      "--lsm-profile=apparmor:x",
      "--lsm-mount-context=c",
    ),
    root: "/run/root",
    pidFile: "/run/pid",
    descriptors: ["/dev/null", "pipe:[5]", "pipe:[6]"],
    hostFiles: ["file[18:4]", "", ""],
    joined: { network: 4 },
    cgroupRoot: "/new",
    cgroupBinds: [{ inside: "/sys/fs/cgroup/pids", source: "/sys/fs/cgroup/pids/c" }],
  }).join(" ");
  expect(words).toBe(
    "restore --restore-detached --pidfile /run/pid --root /run/root --evasive-devices --images-dir /img " +
      "--log-file restore.log -v4 --manage-cgroups=soft --empty-ns net --shell-job --config /etc/criu/runc.conf " +
      "--lsm-profile apparmor:x --lsm-mount-context c --cgroup-root /new --external mnt[/data]:/srv/data " +
      "--external mnt[/etc/hosts]:/srv/hosts --external mnt[/sys/fs/cgroup/pids]:/sys/fs/cgroup/pids/c " +
      "--external mnt[/dev/fuse]:/dev/fuse --external mnt[/dev/null]:/dev/null --inherit-fd fd[1]:pipe:[5] " +
      "--inherit-fd fd[2]:pipe:[6] --inherit-fd fd[0]:file[18:4] --inherit-fd fd[4]:extRootNetNS --join-ns uts:/proc/5/ns/uts",
  );
});

test.each([
  ["--parent-path=/x", "--parent-path must be relative"],
  ["--manage-cgroups-mode=x", "Invalid manage cgroups mode"],
  ["--empty-ns=pid", 'namespace "pid" is not supported'],
  ["--page-server=x", "Use --page-server ADDRESS:PORT to specify page server"],
  ["--page-server=a:b", "Invalid port number"],
  ["--page-server=a:70000", "Invalid port number"],
])("%s is refused", (flag, words) => expect(() => dumpOptions(flag)).toThrow(words));
