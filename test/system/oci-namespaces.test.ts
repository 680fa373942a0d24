/** Namespaces made, joined, shared, and clocks of their own. As root: scripts/bun test test/system/oci-namespaces.test.ts */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { OciMount, OciNamespace, OciNamespaceType } from "../../src/runtime/oci-types.ts";
import { OciBundles, runBounded } from "../lib/oci-bundle.ts";

const world = new OciBundles("namespaces");
afterAll(() => world.cleanUp());

const files: Readonly<Record<OciNamespaceType, string>> = {
  mount: "mnt",
  pid: "pid",
  network: "net",
  ipc: "ipc",
  uts: "uts",
  user: "user",
  cgroup: "cgroup",
  time: "time",
};
const all: readonly OciNamespaceType[] = ["mount", "pid", "network", "ipc", "uts", "cgroup", "time"];
const list = (types: readonly OciNamespaceType[]): OciNamespace[] => types.map((type) => ({ type }));
const hostProc: readonly OciMount[] = [
  { destination: "/proc", type: "bind", source: "/proc", options: ["rbind"] },
];
/** In a container that shows the host's /proc: nothing of it is masked. */
const plain = { maskedPaths: [], readonlyPaths: [] };
const own = (type: OciNamespaceType): string => readlinkSync(`/proc/self/ns/${files[type]}`);
const show = (type: OciNamespaceType): string[] => ["readlink", `/proc/self/ns/${files[type]}`];
const pidOf = (id: string): number => Number(JSON.parse(world.runtime("state", id).out).pid);

let target = { id: "", pid: 0 };
beforeAll(() => {
  const { id, ran } = world.start({ linux: { namespaces: list(all) } });
  expect(ran).toEqual({ code: 0, out: "", err: "" });
  target = { id, pid: pidOf(id) };
});

describe("each type", () => {
  test.each([...all])("%s: made anew, and shared with the host where it is not listed", (type) => {
    expect(readlinkSync(`/proc/${target.pid}/ns/${files[type]}`)).not.toBe(own(type));
    if (type === "mount") return;
    const ran = world.run({
      args: show(type),
      baseMounts: hostProc,
      config: { hostname: "" },
      linux: { ...plain, namespaces: list(all.filter((other) => other !== type)) },
    });
    expect(ran).toEqual({ code: 0, out: `${own(type)}\n`, err: "" });
  });

  test.each(all.filter((type) => type !== "mount"))("%s: joined by path", (type) => {
    const path = `/proc/${target.pid}/ns/${files[type]}`;
    const ran = world.run({
      args: show(type),
      config: type === "uts" ? { hostname: "" } : {},
      linux: { namespaces: [...list(all.filter((other) => other !== type)), { type, path }] },
    });
    expect(ran).toEqual({ code: 0, out: `${readlinkSync(path)}\n`, err: "" });
  });

  test("all but the mount namespace at once, and the processes of the other are seen", () => {
    const namespaces = all.map((type) =>
      type === "mount" ? { type } : { type, path: `/proc/${target.pid}/ns/${files[type]}` },
    );
    const script = `for i in ${all.map((type) => files[type]).join(" ")}; do readlink /proc/self/ns/$i; done; cat /proc/1/cmdline`;
    const { code, out } = world.run({
      args: ["sh", "-c", script],
      config: { hostname: "" },
      linux: { namespaces },
    });
    expect(code).toBe(0);
    const seen = out.split("\n");
    all.forEach((type, index) => {
      if (type !== "mount") expect(seen[index]).toBe(readlinkSync(`/proc/${target.pid}/ns/${files[type]}`));
    });
    expect(seen.at(-1)).toStartWith("sleep");
  });

  test("mount: joined by path, where the root becomes the container's", async () => {
    const holder = Bun.spawn(
      ["unshare", "-m", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 100"],
      {
        stdout: "pipe",
      },
    );
    await holder.stdout.getReader().read();
    try {
      const path = `/proc/${holder.pid}/ns/mnt`;
      const ran = world.run({
        args: show("mount"),
        linux: { namespaces: [...list(all.slice(1)), { type: "mount", path }] },
      });
      expect(ran).toEqual({ code: 0, out: `${readlinkSync(path)}\n`, err: "" });
    } finally {
      holder.kill(9);
      await holder.exited;
    }
  });

  test("exec enters all of them", () => {
    const script = `for i in ${all.map((type) => files[type]).join(" ")}; do readlink /proc/self/ns/$i; done`;
    const seen = world.exec(target.id, "sh", "-c", script).out.trim().split("\n");
    expect(seen).toEqual(all.map((type) => readlinkSync(`/proc/${target.pid}/ns/${files[type]}`)));
  });
});

describe("what is refused", () => {
  test("a path of another type, before anything is joined", () => {
    const path = `/proc/${target.pid}/ns/net`;
    const { code, err } = world.run({
      linux: { namespaces: [...list(["mount", "pid"]), { type: "ipc", path }] },
      config: { hostname: "" },
    });
    expect(code).toBe(1);
    expect(err).toContain(`${path} is a namespace of type network and not ipc`);
  });

  test.each([
    ["/etc/passwd", "/etc/passwd is not a namespace"],
    ["/proc/0/ns/ipc", "its process has ended"],
  ])("%s", (path, words) => {
    const { code, err } = world.run({
      linux: { namespaces: [...list(["mount"]), { type: "ipc", path }] },
      config: { hostname: "" },
    });
    expect(code).toBe(1);
    expect(err).toContain(words);
  });

  test("no mount namespace: the host's, with mounts that exec sees and delete takes away", () => {
    const { id, ran } = world.start({
      linux: { ...plain, namespaces: list(all.filter((type) => type !== "mount")) },
    });
    expect(ran).toEqual({ code: 0, out: "", err: "" });
    const { rootfs } = JSON.parse(world.runtime("state", id).out);
    const mounted = (): boolean => readFileSync("/proc/self/mountinfo", "utf8").includes(` ${rootfs}/proc `);
    expect(mounted()).toBe(true);
    const inside = world.runtime(
      "exec",
      id,
      "sh",
      "-c",
      "readlink /proc/self/ns/mnt; ls -d /etc/debian_version",
    );
    expect(inside.out).toBe(`${own("mount")}\n`);
    expect(world.runtime("delete", "--force", id).code).toBe(0);
    expect(mounted()).toBe(false);
  });

  test("a failure leaves no cgroup and no state", () => {
    const { dir, id } = world.bundle({
      linux: { namespaces: [...list(["mount"]), { type: "ipc", path: "/etc/passwd" }] },
      config: { hostname: "" },
    });
    expect(world.runtime("run", "--bundle", dir, id).code).toBe(1);
    expect(existsSync(`${world.dir}/state/${id}`)).toBe(false);
    for (const hierarchy of readdirSync("/sys/fs/cgroup"))
      expect(existsSync(`/sys/fs/cgroup/${hierarchy}/${id}`)).toBe(false);
  });
});

test("the loopback of a new network namespace is on", () => {
  expect(world.run({ args: ["cat", "/sys/class/net/lo/flags"] }).out.trim()).toBe("0x9");
});

describe("time", () => {
  const uptime = (text: string): number => Number(text.split(" ")[0]);
  const offset = 1_000_000;

  test.each([
    ["in the host's user namespace", {}],
    [
      "in one of its own",
      {
        uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
        gidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
      },
    ],
  ])("offsets are seen %s, by exec too", (_, maps) => {
    const types: OciNamespaceType[] = "uidMappings" in maps ? [...all, "user"] : [...all];
    const root = world.rootfs();
    if ("uidMappings" in maps) runBounded(["chown", "-hR", "100000:100000", root]);
    const { id, ran } = world.start({
      root: { path: root },
      linux: {
        ...maps,
        namespaces: list(types),
        timeOffsets: { boottime: { secs: offset, nanosecs: 5 }, monotonic: { secs: -3 } },
      },
    });
    expect(ran).toEqual({ code: 0, out: "", err: "" });
    const here = uptime(readFileSync("/proc/uptime", "utf8"));
    const there = uptime(world.exec(id, "cat", "/proc/uptime").out);
    expect(there - here).toBeGreaterThan(offset - 1);
    expect(there - here).toBeLessThan(offset + 60);
    const lines = readFileSync(`/proc/${pidOf(id)}/timens_offsets`, "utf8")
      .trim()
      .split("\n");
    expect(lines.map((line) => line.split(/\s+/).join(" "))).toEqual([
      "monotonic -3 0",
      `boottime ${offset} 5`,
    ]);
  });

  test("a clock that would be negative is refused by name", () => {
    const timeOffsets = { boottime: { secs: -9_000_000_000 } };
    const { code, err } = world.run({ linux: { namespaces: list(all), timeOffsets } });
    expect(code).toBe(1);
    expect(err).toContain("linux.timeOffsets");
  });
});
