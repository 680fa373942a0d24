import { describe, expect, test } from "bun:test";
import { capabilityNames, defaultCapabilities } from "../runtime/index.ts";
import type { ContainerConfig, HostConfig } from "./container.ts";
import { defaultConfig, defaultHostConfig } from "./create-defaults.ts";
import { type OciConfigInput, ociConfig } from "./oci-config.ts";
import { changedResources, checkControllers } from "./oci-resources.ts";
import { grantedCapabilities, securityOptions } from "./oci-security.ts";
import { sampleRecord } from "./sample.test-data.ts";

function make(
  host: Partial<HostConfig> = {},
  config: Partial<ContainerConfig> = {},
  more: Partial<OciConfigInput> = {},
) {
  const record = sampleRecord({
    host: { ...defaultHostConfig, ...host },
    config: { ...defaultConfig, Hostname: "box", Entrypoint: ["/e"], Cmd: ["a"], ...config },
  });
  return ociConfig({
    record,
    user: { uid: 33, gid: 34, groups: [10], home: "/w" },
    rootPath: "/run/gantry/rootfs",
    cgroupsPath: "/gantry/x",
    mounts: [],
    devices: [],
    defaultSysctls: { "net.ipv4.ip_unprivileged_port_start": "0" },
    swapAccounting: true,
    ...more,
  });
}

describe("the process", () => {
  test("of a plain container", () => {
    expect(make().process).toMatchObject({
      terminal: false,
      user: { uid: 33, gid: 34, additionalGids: [10] },
      cwd: "/",
      args: ["/e", "a"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=box", "HOME=/w"],
      noNewPrivileges: false,
      rlimits: [],
      capabilities: {
        bounding: [...defaultCapabilities].sort(
          (a, b) => capabilityNames.indexOf(a) - capabilityNames.indexOf(b),
        ),
      },
    });
  });

  test("with a terminal, an environment, limits", () => {
    const { process } = make(
      {
        Ulimits: [{ Name: "nofile", Soft: 10, Hard: -1 }],
        OomScoreAdj: 500,
        SecurityOpt: ["no-new-privileges"],
      },
      { Tty: true, Env: ["HOME=/own", "A=b"], WorkingDir: "/srv" },
    );
    expect(process).toMatchObject({
      terminal: true,
      cwd: "/srv",
      oomScoreAdj: 500,
      noNewPrivileges: true,
      rlimits: [{ type: "RLIMIT_NOFILE", soft: 10, hard: 2 ** 64 }],
    });
    expect(process?.env).toEqual([
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOSTNAME=box",
      "TERM=xterm",
      "HOME=/own",
      "A=b",
    ]);
  });
});

describe("namespaces", () => {
  const types = (host: Partial<HostConfig>): string[] =>
    (make(host).linux?.namespaces ?? []).map(({ type }) => type).sort();
  const all = ["cgroup", "ipc", "mount", "network", "pid", "uts"];
  test.each([
    [{}, all],
    [{ NetworkMode: "none" }, all],
    [{ NetworkMode: "host" }, all.filter((type) => type !== "network")],
    [{ PidMode: "host" }, all.filter((type) => type !== "pid")],
    [{ IpcMode: "host" }, all.filter((type) => type !== "ipc")],
    [{ UTSMode: "host" }, all.filter((type) => type !== "uts")],
    [{ CgroupnsMode: "host" }, all.filter((type) => type !== "cgroup")],
  ] as const)("of %o", (host, want) => expect(types(host)).toEqual([...want]));

  test("of other containers are joined by their files", () => {
    const host = { PidMode: "container:a", IpcMode: "container:b" };
    const joins = { pid: "/proc/7/ns/pid", ipc: "/proc/8/ns/ipc" };
    const linux = make(host, {}, { joins, sharedMemory: "/b/shm" });
    expect(linux.linux?.namespaces).toContainEqual({ type: "pid", path: "/proc/7/ns/pid" });
    expect(linux.linux?.namespaces).toContainEqual({ type: "ipc", path: "/proc/8/ns/ipc" });
    expect(linux.mounts?.find(({ destination }) => destination === "/dev/shm")?.source).toBe("/b/shm");
  });

  test("the host's names and settings are left alone", () => {
    expect(make({ UTSMode: "host" }).hostname).toBeUndefined();
    expect(make({ NetworkMode: "host", Sysctls: { "kernel.msgmax": "1" } }).linux?.sysctl).toEqual({
      "kernel.msgmax": "1",
    });
    expect(make().linux?.sysctl).toEqual({ "net.ipv4.ip_unprivileged_port_start": "0" });
  });
});

describe("resources", () => {
  const denied = { allow: false, access: "rwm" };
  test.each([
    ["nothing", {}, true, { devices: [denied] }],
    [
      "memory means as much swap",
      { Memory: 100 },
      true,
      { memory: { limit: 100, swap: 200 }, devices: [denied] },
    ],
    [
      "no swap accounting",
      { Memory: 100, MemorySwap: 300 },
      false,
      { memory: { limit: 100 }, devices: [denied] },
    ],
    [
      "swap is unlimited",
      { Memory: 100, MemorySwap: -1, MemoryReservation: 50 },
      true,
      { memory: { limit: 100, swap: -1, reservation: 50 }, devices: [denied] },
    ],
    [
      "cpu and pids",
      { NanoCpus: 5e8, CpuShares: 512, CpusetCpus: "0", CpusetMems: "0", PidsLimit: 7 },
      true,
      {
        cpu: { quota: 50_000, period: 100_000, shares: 512, cpus: "0", mems: "0" },
        pids: { limit: 7 },
        devices: [denied],
      },
    ],
    [
      "what only some kernels have",
      {
        MemorySwappiness: 0,
        OomKillDisable: true,
        KernelMemoryTCP: 9,
        CpuRealtimePeriod: 1000,
        CpuRealtimeRuntime: 500,
      },
      true,
      {
        memory: { kernelTCP: 9, swappiness: 0, disableOOMKiller: true },
        cpu: { realtimePeriod: 1000, realtimeRuntime: 500 },
        devices: [denied],
      },
    ],
    [
      "device rules",
      { DeviceCgroupRules: ["c 42:* rw", "a *:7 m"] },
      true,
      {
        devices: [
          denied,
          { allow: true, type: "c", major: 42, access: "rw" },
          { allow: true, type: "b", minor: 7, access: "m" },
          { allow: true, type: "c", minor: 7, access: "m" },
        ],
      },
    ],
    ["privileged", { Privileged: true }, true, { devices: [{ allow: true, access: "rwm" }] }],
  ] as const)("%s", (_, host, swapAccounting, want) => {
    expect(make(host, {}, { swapAccounting }).linux?.resources as unknown).toEqual(want);
  });

  test.each([
    ["nothing", { Memory: 9 }, { Memory: 9 }, {}],
    [
      "memory, with its swap",
      { Memory: 9, MemorySwap: 20 },
      { Memory: 10, MemorySwap: 20 },
      { memory: { limit: 10, swap: 20 } },
    ],
    ["a first limit", {}, { Memory: 9 }, { memory: { limit: 9, swap: 18 } }],
    ["a limit is lifted", { Memory: 9 }, {}, { memory: { limit: -1, swap: -1 } }],
    [
      "quota with its period",
      { CpuPeriod: 5000 },
      { CpuPeriod: 5000, CpuQuota: 9 },
      { cpu: { quota: 9, period: 5000 } },
    ],
    ["pids are lifted", { PidsLimit: 9, CpuShares: 3 }, { CpuShares: 3 }, { pids: { limit: -1 } }],
    ["weight", { BlkioWeight: 10 }, { BlkioWeight: 20 }, { blockIO: { weight: 20 } }],
  ] as const)("changed while it runs: %s", (_, from, to, want) => {
    const all = (change: Partial<HostConfig>): HostConfig => ({ ...defaultHostConfig, ...change });
    expect(changedResources(all(from), all(to), true) as unknown).toEqual(want);
  });

  test("a device is made and allowed", () => {
    const device = {
      path: "/dev/fuse",
      type: "c",
      major: 10,
      minor: 229,
      fileMode: 0o666,
      uid: 0,
      gid: 0,
      access: "rw",
    } as const;
    const { linux } = make({}, {}, { devices: [device] });
    const { access: _, ...made } = device;
    expect(linux?.devices).toEqual([made]);
    expect(linux?.resources?.devices?.at(-1)).toEqual({
      allow: true,
      type: "c",
      major: 10,
      minor: 229,
      access: "rw",
    });
  });

  test("a limit without its controller is refused by name", () => {
    const none = { kind: "v2", controllers: {} } as const;
    expect(() => checkControllers(defaultHostConfig, none)).not.toThrow();
    for (const [change, flag] of [
      [{ Memory: 1 }, "--memory"],
      [{ NanoCpus: 1 }, "--cpus"],
      [{ CpusetCpus: "0" }, "--cpuset-cpus"],
      [{ PidsLimit: 1 }, "--pids-limit"],
    ] as const) {
      expect(() => checkControllers({ ...defaultHostConfig, ...change }, none)).toThrow(
        `${flag} cannot be kept`,
      );
    }
  });
});

describe("mounts", () => {
  const find = (target: string, host: Partial<HostConfig>, more: Partial<OciConfigInput> = {}) =>
    make(host, {}, more).mounts?.filter(({ destination }) => destination === target);
  const plain = { readOnly: false, propagation: "", options: "" };

  test.each([
    ["/dev/shm", { ShmSize: 4096 }, { options: ["nosuid", "noexec", "nodev", "mode=1777", "size=4096"] }],
    ["/dev/shm", { IpcMode: "host" }, { type: "bind", source: "/dev/shm" }],
    ["/dev/mqueue", { IpcMode: "host" }, { type: "mqueue" }],
    [
      "/sys/fs/cgroup",
      { SecurityOpt: ["writable-cgroups"] },
      { options: ["nosuid", "noexec", "nodev", "rw"] },
    ],
    [
      "/sys/fs/cgroup",
      { Privileged: true, SecurityOpt: ["writable-cgroups=false"] },
      { options: ["ro", "nosuid", "noexec", "nodev"] },
    ],
    ["/sys", { Privileged: true }, { options: ["nosuid", "noexec", "nodev", "rw"] }],
    ["/sys/fs/cgroup", {}, { options: ["ro", "nosuid", "noexec", "nodev"] }],
  ] as const)("%s with %o", (target, host, want) => {
    expect(find(target, host) as unknown).toMatchObject([want]);
  });

  test("of the user replace the defaults at their place and come last", () => {
    const bind = {
      ...plain,
      type: "bind",
      source: "/a",
      target: "/dev/shm",
      readOnly: true,
      propagation: "rslave",
    } as const;
    const tmpfs = { ...plain, type: "tmpfs", source: "", target: "/t", options: "size=1m,exec" } as const;
    const config = make({}, {}, { mounts: [bind, tmpfs] });
    expect(config.mounts?.slice(-2)).toEqual([
      { destination: "/dev/shm", type: "bind", source: "/a", options: ["rbind", "ro", "rslave"] },
      {
        destination: "/t",
        type: "tmpfs",
        source: "tmpfs",
        options: ["noexec", "nosuid", "nodev", "rw", "size=1m", "exec"],
      },
    ]);
    expect(config.mounts?.filter(({ destination }) => destination === "/dev/shm")).toHaveLength(1);
    expect(config.linux?.rootfsPropagation).toBe("rslave");
    expect(make().linux?.rootfsPropagation).toBeUndefined();
  });

  test("/dev/shm can be left out", () => expect(find("/dev/shm", { IpcMode: "none" })).toEqual([]));
});

describe("security", () => {
  test.each([
    [{}, [...defaultCapabilities]],
    [{ CapDrop: ["ALL"] }, []],
    [{ CapDrop: ["all"], CapAdd: ["net_admin"] }, ["CAP_NET_ADMIN"]],
    [
      { CapDrop: ["CAP_CHOWN", "kill"] },
      defaultCapabilities.filter((name) => name !== "CAP_CHOWN" && name !== "CAP_KILL"),
    ],
    [{ CapAdd: ["ALL"] }, [...capabilityNames]],
    [{ CapAdd: ["ALL"], CapDrop: ["SYS_ADMIN"] }, capabilityNames.filter((name) => name !== "CAP_SYS_ADMIN")],
    [{ Privileged: true, CapDrop: ["ALL"] }, [...capabilityNames]],
  ] as const)("capabilities of %o", (change, want) => {
    expect([...grantedCapabilities({ ...defaultHostConfig, ...change })].sort()).toEqual([...want].sort());
  });

  test("an unknown capability is refused", () => {
    expect(() => grantedCapabilities({ ...defaultHostConfig, CapAdd: ["FLY"] })).toThrow(
      'invalid capability: "FLY"',
    );
  });

  test.each([
    [[], { noNewPrivileges: false, systemPaths: true, seccomp: undefined }],
    [["no-new-privileges:true", "seccomp=unconfined"], { noNewPrivileges: true, seccomp: "unconfined" }],
    [["no-new-privileges=false"], { noNewPrivileges: false }],
    [["systempaths=unconfined", "label=disable", "apparmor=unconfined"], { systemPaths: false }],
    [['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'], { seccomp: '{"defaultAction":"SCMP_ACT_ALLOW"}' }],
    [["seccomp=unconfined", "seccomp=builtin"], { seccomp: "builtin" }],
    [["writable-cgroups", "writable-cgroups=0"], { writableCgroups: false }],
    [["label=type:x", "disable", "apparmor=mine"], { appArmor: "mine" }],
  ] as const)("options %o", (options, want) => expect(securityOptions(options)).toMatchObject(want));

  test.each([
    ["fly", 'invalid --security-opt 1: "fly"'],
    ["fly=high", 'invalid --security-opt 2: "fly=high"'],
    ["no-new-privileges=perhaps", 'invalid --security-opt 2: "no-new-privileges=perhaps"'],
    ["systempaths=confined", 'invalid --security-opt 2: "systempaths=confined"'],
  ])("refuses the option %s", (option, message) => expect(() => securityOptions([option])).toThrow(message));

  test("lists of paths come before privileged and before the defaults", () => {
    const linux = make({ MaskedPaths: ["/proc/x"], ReadonlyPaths: [], Privileged: true }).linux;
    expect([linux?.maskedPaths, linux?.readonlyPaths]).toEqual([["/proc/x"], []]);
  });

  test("an AppArmor profile is named where AppArmor is on", () => {
    const host = { SecurityOpt: ["apparmor=mine"] };
    expect(make(host, {}, { appArmor: true }).process?.apparmorProfile).toBe("mine");
    expect(make(host).process?.apparmorProfile).toBeUndefined();
  });

  test("a privileged container keeps the profile that it asks for", () => {
    const profile = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[]}';
    const { linux } = make({ Privileged: true, SecurityOpt: [`seccomp=${profile}`] });
    expect(linux?.seccomp?.defaultAction).toBe("SCMP_ACT_ALLOW");
  });

  test("what is hidden and filtered", () => {
    const confined = make().linux;
    expect(confined?.maskedPaths).toContain("/proc/kcore");
    expect(confined?.readonlyPaths).toContain("/proc/sys");
    expect(confined?.seccomp?.defaultAction).toBe("SCMP_ACT_ERRNO");
    const free = make({ Privileged: true }).linux;
    expect([free?.maskedPaths, free?.readonlyPaths, free?.seccomp]).toEqual([[], [], undefined]);
    expect(make({ SecurityOpt: ["systempaths=unconfined"] }).linux?.maskedPaths).toEqual([]);
    expect(make({ SecurityOpt: ["seccomp=unconfined"] }).linux?.seccomp).toBeUndefined();
    expect(
      make({ SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[]}'] }).linux?.seccomp
        ?.defaultAction,
    ).toBe("SCMP_ACT_ALLOW");
  });
});
