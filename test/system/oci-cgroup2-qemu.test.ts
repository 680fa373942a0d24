/**
 * gantry-oci on cgroup v2 alone, which this machine's kernel does not have: in a virtual machine without acceleration, with
 * Debian's kernel, busybox and the program. cgroup2-guest.sh is its first process and says what it saw.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import type { OciConfig, OciLinux } from "../../src/runtime/index.ts";

const mib = 1 << 20;
const program = `${import.meta.dir}/../../dist/gantry-oci`;
const cache = `${import.meta.dir}/../../build/cgroup2-kernel`;
const minutesMs = 170_000;

const missing = reasonToSkip();
if (missing !== undefined) console.log(`cgroup v2 in a virtual machine is not tested: ${missing}`);

function run(argv: readonly string[], cwd = "/"): { readonly ok: boolean; readonly text: string } {
  const [file = "", ...args] = argv;
  const done = spawnSync(file, args, {
    cwd,
    encoding: "utf8",
    timeout: minutesMs,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  return { ok: done.status === 0, text: `${done.stdout ?? ""}${done.stderr ?? ""}` };
}

function reasonToSkip(): string | undefined {
  if (!existsSync(program)) return "dist/gantry-oci is not built";
  if (!existsSync("/bin/busybox")) return "there is no static busybox in /bin";
  if (
    !run(["which", "qemu-system-x86_64"]).ok &&
    !run(["apt-get", "install", "-y", "--no-install-recommends", "qemu-system-x86"]).ok
  )
    return "qemu-system-x86 is not installed, and apt-get cannot install it";
  return kernel() === undefined ? "apt-get cannot download linux-image-cloud-amd64" : undefined;
}

/** Debian's kernel, unpacked but not installed. */
function kernel(): string | undefined {
  const found = (): string | undefined => {
    const boot = `${cache}/root/boot`;
    const name = existsSync(boot) ? readdirSync(boot).find((file) => file.startsWith("vmlinuz-")) : undefined;
    return name === undefined ? undefined : `${boot}/${name}`;
  };
  if (found() !== undefined) return found();
  mkdirSync(cache, { recursive: true });
  const image = /Depends: (linux-image-\S+)/.exec(
    run(["apt-cache", "depends", "linux-image-cloud-amd64"]).text,
  )?.[1];
  if (image === undefined || !run(["apt-get", "download", image], cache).ok) return undefined;
  for (const file of readdirSync(cache).filter((name) => name.endsWith(".deb"))) {
    run(["dpkg-deb", "-x", file, "root"], cache);
    rmSync(`${cache}/${file}`);
  }
  return found();
}

function config(
  args: readonly string[],
  linux: OciLinux,
  cgroupOptions: readonly string[] = ["ro"],
): OciConfig {
  const capabilities = ["CAP_MKNOD", "CAP_SYS_ADMIN"];
  const { namespaces = [], ...rest } = linux;
  return {
    ociVersion: "1.2.0",
    process: {
      cwd: "/",
      args,
      env: ["PATH=/bin"],
      user: { uid: 0, gid: 0 },
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    },
    root: { path: "rootfs" },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
      {
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: [...cgroupOptions, "nosuid", "nodev", "noexec"],
      },
    ],
    linux: {
      cgroupsPath: "/box/c",
      ...rest,
      namespaces: [
        ...(["pid", "mount", "ipc", "uts", "network", "cgroup"] as const).map((type) => ({ type })),
        ...namespaces,
      ],
    },
  };
}

const sleep = ["sleep", "1000"];
const maps = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const configs: Readonly<Record<string, OciConfig>> = {
  limits: config(sleep, {
    resources: {
      memory: { limit: 64 * mib, swap: 96 * mib, reservation: 32 * mib },
      cpu: { shares: 512, quota: 50_000, period: 100_000, burst: 10_000, cpus: "0" },
      pids: { limit: 7 },
      unified: { "memory.high": String(48 * mib) },
      devices: [{ allow: false, access: "rwm" }],
    },
  }),
  oom: config(["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"], {
    resources: { memory: { limit: 16 * mib, swap: 16 * mib } },
  }),
  pids: config(["sh", "-c", "for i in 1 2 3 4 5 6; do sleep 5 & done; true"], {
    resources: { pids: { limit: 4 } },
  }),
  owner: config(sleep, { namespaces: [{ type: "user" }], uidMappings: maps, gidMappings: maps }, []),
};

/** What the guest said, in order of its names. */
const said = new Map<string, string[]>();
let output = "";
const dir = mkdtempSync("/tmp/gantry-cgroup2-");

function bootGuest(): void {
  const root = `${dir}/root`;
  const bin = `${root}/bundle/rootfs/bin`;
  for (const made of [
    `${root}/bin`,
    bin,
    ...["tmp", "proc", "sys", "dev"].map((name) => `${root}/bundle/rootfs/${name}`),
  ])
    mkdirSync(made, { recursive: true });
  for (const place of [`${root}/bin`, bin]) copyFileSync("/bin/busybox", `${place}/busybox`);
  symlinkSync("busybox", `${root}/bin/sh`);
  for (const applet of ["sh", "sleep", "cat", "dd", "mknod", "mkdir", "echo"])
    symlinkSync("busybox", `${bin}/${applet}`);
  copyFileSync(program, `${root}/bin/gantry-oci`);
  copyFileSync(`${import.meta.dir}/cgroup2-guest.sh`, `${root}/init`);
  chmodSync(`${root}/init`, 0o755);
  for (const [name, text] of Object.entries(configs))
    writeFileSync(`${root}/bundle/${name}.json`, JSON.stringify(text));
  expect(run(["sh", "-c", "cd root && find . | busybox cpio -o -H newc | gzip -1 >../initrd"], dir).ok).toBe(
    true,
  );
  output = run([
    "timeout", "165", "qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nographic", "-no-reboot", "-net", "none",
    "-kernel", kernel() ?? "", "-initrd", `${dir}/initrd`,
    "-append", "console=ttyS0 quiet panic=-1 rdinit=/init",
  ]).text; // prettier-ignore
  for (const [, name = "", value = ""] of output.matchAll(/T ([^=\s]+)=([^\r\n]*)/g))
    said.set(name, [...(said.get(name) ?? []), value]);
}

describe.skipIf(missing !== undefined)("cgroup v2", () => {
  beforeAll(bootGuest, minutesMs);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test("the guest came to its end", () => {
    if (!said.has("done")) console.log(output);
    expect(said.get("done")).toEqual(["yes"]);
    expect(said.get("controllers")?.[0]).toContain("memory");
  });

  test.each([
    ["memory.max", String(64 * mib)],
    ["memory.low", String(32 * mib)],
    ["memory.high", String(48 * mib)],
    ["memory.swap.max", String(32 * mib)],
    ["cpu.weight", "59"],
    ["cpu.max", "50000 100000"],
    ["cpu.max.burst", "10000"],
    ["pids.max", "7"],
    ["cpuset.cpus", "0"],
    ["procs", "1"],
  ])("%s is %s before anything of the image runs", (name, value) => {
    expect(said.get(name)).toEqual([value]);
  });

  test("the container runs, sees its own cgroup and is limited by it", () => {
    expect(said.get("status")).toEqual(["running"]);
    expect(said.get("cgroup")).toEqual(["0::/"]);
    expect(said.get("mount")).toEqual(["7"]);
    expect(said.get("oom")).toEqual(["137"]);
    expect(said.get("forks")).toEqual(["1"]);
  });

  test("devices are decided by a program", () => {
    expect(said.get("null")).toEqual(["usable"]);
    expect(said.get("denied")?.[0]).toContain("Operation not permitted");
  });

  test("pause and resume", () => {
    expect([said.get("frozen"), said.get("paused"), said.get("thawed")]).toEqual([
      ["frozen 1"],
      ["paused"],
      ["frozen 0"],
    ]);
  });

  test("update changes what it names; one that cannot be changes nothing", () => {
    expect(said.get("rc.update")).toEqual(["0", "1"]);
    expect(said.get("updated.memory.max")).toEqual([String(48 * mib)]);
    expect(said.get("updated.memory.swap.max")).toEqual(["0"]);
    expect(said.get("updated.cpu.weight")).toEqual(["174"]);
    expect(said.get("updated.pids.max")).toEqual(["9"]);
    expect(said.get("kept")).toEqual([String(48 * mib)]);
  });

  test("events counts", () => {
    const event: unknown = JSON.parse(said.get("events")?.[0] ?? "{}");
    expect(event).toMatchObject({ type: "stats", data: { pids: { current: 1, limit: 9 } } });
  });

  test("delete removes the cgroup with its children", () => {
    expect(said.get("gone")).toEqual(["yes"]);
  });

  test("a container with a user namespace owns what the kernel lets be delegated, and no limit", () => {
    for (const file of [".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"])
      expect(said.get(`owner.${file}`)).toEqual(["100000"]);
    expect(said.get("owner.memory.max")).toEqual(["0"]);
    expect(said.get("nested")).toEqual(["0::/in"]);
    // When it has handed a controller on, its own cgroup takes no process: exec joins the first one.
    expect(said.get("split")).toEqual(["pids 0::/init"]);
  });

  test("a cgroup that is in use is refused", () => {
    expect(said.get("rc.create")).toEqual(["0", "0", "1"]);
    expect(output).toContain("container's cgroup is not empty: 1 process(es) found");
  });
});
