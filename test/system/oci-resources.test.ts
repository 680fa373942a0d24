/** Limits on the real kernel (cgroup v1, and hugetlb on the cgroup2 mount): read back, changed, and what happens at them. */
import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import type { OciResources } from "../../src/runtime/index.ts";
import { OciWorld } from "./oci-program.ts";
import { cgroups } from "./runtime-world.ts";

const world = new OciWorld();
afterAll(() => world.cleanUp());
const mib = 1 << 20;
const sleep = ["sleep", "1000"];
const isV1 = cgroups.kind !== "v2";

/** The directory of a container's cgroup. */
function dirOf(name: string, controller: string): string {
  return `${cgroups.controllers[controller] ?? ""}${world.cgroup(name)}`;
}

function file(name: string, path: string): string {
  return readFileSync(`${dirOf(name, path.split(".")[0] ?? "")}/${path}`, "utf8").trim();
}

/** Creates a container with these limits; it waits for start. */
function create(name: string, resources: OciResources, args: readonly string[] = sleep) {
  const bundle = world.bundle(name, args, {}, { resources });
  return world.call("create", "--bundle", bundle, name);
}

function run(name: string, resources: OciResources, args: readonly string[]) {
  const bundle = world.bundle(name, args, {}, { resources });
  return world.call("run", "--bundle", bundle, name);
}

function ok(answer: { readonly code: number; readonly stderr: string }): void {
  expect(answer.stderr).toBe("");
  expect(answer.code).toBe(0);
}

/** The disk under /tmp, which takes throttles. */
const disk = statSync("/").dev;
const device = { major: (disk >> 8) & 0xfff, minor: (disk & 0xff) | ((disk >> 12) & 0xfff00) };
const number = `${device.major}:${device.minor}`;

describe.skipIf(!isV1)("each limit is in the cgroup before anything of the image runs", () => {
  test("memory, cpu, pids, cpuset, throttles", () => {
    ok(
      create("all", {
        memory: { limit: 64 * mib, reservation: 32 * mib, swappiness: 10, disableOOMKiller: true },
        cpu: { shares: 512, period: 50_000, quota: 25_000, burst: 5_000, cpus: "0", mems: "0" },
        pids: { limit: 33 },
        blockIO: {
          throttleReadBpsDevice: [{ ...device, rate: mib }],
          throttleWriteBpsDevice: [{ ...device, rate: 2 * mib }],
          throttleReadIOPSDevice: [{ ...device, rate: 100 }],
          throttleWriteIOPSDevice: [{ ...device, rate: 200 }],
        },
      }),
    );
    expect(file("all", "memory.limit_in_bytes")).toBe(String(64 * mib));
    expect(file("all", "memory.soft_limit_in_bytes")).toBe(String(32 * mib));
    expect(file("all", "memory.swappiness")).toBe("10");
    expect(file("all", "memory.oom_control")).toContain("oom_kill_disable 1");
    expect(file("all", "cpu.shares")).toBe("512");
    expect(file("all", "cpu.cfs_period_us")).toBe("50000");
    expect(file("all", "cpu.cfs_quota_us")).toBe("25000");
    expect(file("all", "cpu.cfs_burst_us")).toBe("5000");
    expect(file("all", "cpuset.cpus")).toBe("0");
    expect(file("all", "cpuset.mems")).toBe("0");
    expect(file("all", "pids.max")).toBe("33");
    expect(file("all", "blkio.throttle.read_bps_device")).toBe(`${number} ${mib}`);
    expect(file("all", "blkio.throttle.write_bps_device")).toBe(`${number} ${2 * mib}`);
    expect(file("all", "blkio.throttle.read_iops_device")).toBe(`${number} 100`);
    expect(file("all", "blkio.throttle.write_iops_device")).toBe(`${number} 200`);
    expect(file("all", "pids.current")).toBe("1");
  });

  test("idle, real time, no limits in OCI's words", () => {
    ok(
      create("words", { cpu: { idle: 1, quota: -1 }, memory: { limit: -1, swap: -1 }, pids: { limit: -1 } }),
    );
    expect(file("words", "cpu.idle")).toBe("1");
    expect(file("words", "cpu.cfs_quota_us")).toBe("-1");
    expect(file("words", "pids.max")).toBe("max");
    expect(Number(file("words", "memory.limit_in_bytes"))).toBeGreaterThan(2 ** 60);
  });

  test("a cpuset below parents that have none", () => {
    const bundle = world.bundle("deep", sleep, {}, {
      cgroupsPath: `${world.cgroup("deep")}/a/b`,
      resources: { cpu: { cpus: "1" } },
    }); // prettier-ignore
    ok(world.call("create", "--bundle", bundle, "deep"));
    const at = (path: string): string =>
      readFileSync(`${dirOf("deep", "cpuset")}${path}/cpuset.cpus`, "utf8").trim();
    expect(at("/a/b")).toBe("1");
    expect(at("/a")).toBe(readFileSync(`${cgroups.controllers["cpuset"] ?? ""}/cpuset.cpus`, "utf8").trim());
  });

  test("devices: what is not allowed cannot be opened", () => {
    ok(create("devices", { devices: [{ allow: false, access: "rwm" }] }));
    expect(file("devices", "devices.list").split("\n")).toEqual(
      expect.arrayContaining(["c *:* m", "b *:* m", "c 1:3 rwm", "c 136:* rwm"]),
    );
    expect(file("devices", "devices.list")).not.toContain("a *:* rwm");
  });

  test.skipIf(cgroups.controllers["hugetlb"] !== cgroups.unified)(
    "hybrid: huge pages, whose controller is on the cgroup2 mount",
    () => {
      ok(create("huge", { hugepageLimits: [{ pageSize: "2MB", limit: 4 * mib }] }));
      expect(file("huge", "hugetlb.2MB.max")).toBe(String(4 * mib));
      expect(file("huge", "hugetlb.2MB.rsvd.max")).toBe(String(4 * mib));
      const { pid } = world.state("huge");
      expect(readFileSync(`/proc/${String(pid)}/cgroup`, "utf8")).toContain(`0::${world.cgroup("huge")}\n`);
      ok(world.call("delete", "--force", "huge"));
      expect(existsSync(dirOf("huge", "hugetlb"))).toBe(false);
    },
  );
});

describe.skipIf(!isV1)("what cannot be kept is refused by its path, and leaves nothing", () => {
  test.each<[string, OciResources, string]>([
    ["unified", { unified: { "memory.high": "1" } }, "linux.resources.unified.memory.high"],
    ["slash", { unified: { "../memory.max": "1" } }, "linux.resources.unified"],
    ["nocontroller", { rdma: { mlx: { hcaHandles: 1 } } }, "needs the cgroup controller rdma"],
    ["network", { network: { classID: 1 } }, "needs the cgroup controller net_cls"],
    ["shares", { cpu: { shares: 1 } }, "linux.resources.cpu.shares"],
    ["swappiness", { memory: { swappiness: 101 } }, "linux.resources.memory.swappiness"],
    ["cpus", { cpu: { cpus: "4000" } }, "cpuset.cpus"],
    ["quota", { cpu: { quota: 5, period: 100_000 } }, "linux.resources.cpu.quota"],
  ])("%s", (name, resources, words) => {
    const answer = create(name, resources);
    expect(answer.code).toBe(1);
    expect(answer.stderr).toContain(words);
    for (const controller of Object.keys(cgroups.controllers))
      expect(existsSync(dirOf(name, controller))).toBe(false);
    expect(world.call("state", name).code).toBe(1);
  });

  test("a cgroup that somebody lives in, or that is frozen", () => {
    const dir = dirOf("occupied", "pids");
    mkdirSync(dir, { recursive: true });
    const guest = Bun.spawn(sleep);
    writeFileSync(`${dir}/cgroup.procs`, String(guest.pid));
    const answer = create("occupied", {});
    guest.kill();
    expect(answer.stderr).toContain("container's cgroup is not empty: 1 process(es) found");
    const freezer = dirOf("frozen", "freezer");
    mkdirSync(freezer, { recursive: true });
    writeFileSync(`${freezer}/freezer.state`, "FROZEN");
    expect(create("frozen", {}).stderr).toContain("container's cgroup unexpectedly frozen");
    rmdirSync(freezer);
  });
});

describe.skipIf(!isV1)("update", () => {
  test("what it names changes, also past the old bounds; what it does not stays", () => {
    ok(
      create("live", {
        memory: { limit: 32 * mib },
        cpu: { quota: 50_000, burst: 40_000 },
        pids: { limit: 10 },
      }),
    );
    ok(world.call("update", "--memory", String(128 * mib), "--pids-limit", "20", "live"));
    ok(world.call("update", "--cpu-quota", "20000", "--cpu-burst", "10000", "live"));
    expect(file("live", "memory.limit_in_bytes")).toBe(String(128 * mib));
    expect(file("live", "pids.max")).toBe("20");
    expect([file("live", "cpu.cfs_quota_us"), file("live", "cpu.cfs_burst_us")]).toEqual(["20000", "10000"]);
    ok(world.call("update", "--cpu-period", "20000", "--cpu-quota", "10000", "--cpu-burst", "0", "live"));
    expect([file("live", "cpu.cfs_quota_us"), file("live", "cpu.cfs_period_us")]).toEqual(["10000", "20000"]);
  });

  test("a memory limit below what is in use says how much that is; with checkBeforeUpdate nothing is tried", () => {
    ok(
      create("low", { memory: { limit: 64 * mib } }, [
        "sh",
        "-c",
        "dd if=/dev/zero of=/dev/shm/f bs=1M count=20; sleep 1000",
      ]),
    );
    ok(world.call("start", "low"));
    const used = (): number => Number(file("low", "memory.usage_in_bytes"));
    for (let i = 0; i < 200 && used() < 20 * mib; i++) Bun.sleepSync(10);
    const request = `${world.world.dir}/low.json`;
    writeFileSync(request, JSON.stringify({ memory: { limit: 8 * mib, checkBeforeUpdate: true } }));
    const checked = world.call("update", "-r", request, "low");
    expect(checked.stderr).toMatch(/rejecting memory limit 8388608 < usage \d+/);
    const tried = world.call("update", "--memory", String(8 * mib), "low");
    expect(tried.stderr).toMatch(
      /unable to set memory limit to 8388608 \(current usage: \d+, peak usage: \d+\)/,
    );
    expect(file("low", "memory.limit_in_bytes")).toBe(String(64 * mib));
  });
});

describe.skipIf(!isV1)("at the limit", () => {
  test("of memory: the program is killed", () => {
    const answer = run("oom", { memory: { limit: 16 * mib } }, [
      "dd",
      "if=/dev/zero",
      "of=/dev/null",
      "bs=64M",
      "count=1",
    ]);
    expect(answer.code).toBe(137);
  });

  test("of processes: no more can be started", () => {
    const answer = run("forks", { pids: { limit: 4 } }, [
      "sh",
      "-c",
      "for i in 1 2 3 4 5 6; do sleep 1 & done; true",
    ]);
    expect(answer.stderr).toContain("can't fork");
  });

  test("0 processes: the first and no other", () => {
    const answer = run("one", { pids: { limit: 0 } }, ["sh", "-c", "sleep 1 & true"]);
    expect(answer.stderr).toContain("can't fork");
  });

  test("512 KiB are enough to start, also when the program is not yet in memory", () => {
    const small = { memory: { limit: 512 << 10 } };
    for (const [name, isCold] of [["warm", false], ["cold", true]] as const) {
      const program = `${world.world.rootfs}/bin/busybox`;
      if (isCold) spawnSync("dd", [`of=${program}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"]);
      ok(run(name, small, ["true"]));
    } // prettier-ignore
  });

  test("the container's own cgroup has held at most 0.6 MiB when its program runs", () => {
    ok(create("peak", { memory: { limit: 64 * mib } }));
    ok(world.call("start", "peak"));
    Bun.sleepSync(100);
    expect(Number(file("peak", "memory.max_usage_in_bytes"))).toBeLessThan(0.6 * mib);
  });
});

describe("freezing, killing, removing", () => {
  test("all processes stand still, are killed while they do, and children of the cgroup go with it", () => {
    ok(create("tree", {}, ["sh", "-c", "for i in 1 2 3; do sleep 1000 & done; wait"]));
    ok(world.call("start", "tree"));
    const pids = (): readonly number[] =>
      JSON.parse(world.call("ps", "--format", "json", "tree").stdout) as number[];
    for (let i = 0; i < 200 && pids().length < 4; i++) Bun.sleepSync(10);
    expect(pids()).toHaveLength(4);
    const child = `${dirOf("tree", "pids")}/child`;
    mkdirSync(`${child}/grandchild`, { recursive: true });
    writeFileSync(`${child}/grandchild/cgroup.procs`, String(pids()[3]));
    expect(pids()).toHaveLength(4);
    ok(world.call("pause", "tree"));
    expect(world.status("tree")).toBe("paused");
    ok(world.call("resume", "tree"));
    expect(world.status("tree")).toBe("running");
    ok(world.call("pause", "tree"));
    const before = pids();
    ok(world.call("delete", "--force", "tree"));
    // Whoever has inherited the first process may not have asked for its status yet.
    const lives = (pid: number): boolean =>
      existsSync(`/proc/${pid}/stat`) && !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
    expect(before.filter(lives)).toEqual([]);
    for (const controller of Object.keys(cgroups.controllers))
      expect(existsSync(dirOf("tree", controller))).toBe(false);
  });
});
