/** User namespaces and id-mapped mounts. As root: scripts/bun test test/system/oci-userns.test.ts */
import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import type { OciMount, OciNamespaceType } from "../../src/runtime/oci-types.ts";
import { type BundleChange, OciBundles, runBounded } from "../lib/oci-bundle.ts";

const world = new OciBundles("userns");
afterAll(() => world.cleanUp());

const uids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const gids = [{ containerID: 0, hostID: 200_000, size: 65_536 }];
const types: readonly OciNamespaceType[] = ["mount", "pid", "network", "ipc", "uts", "cgroup", "user"];

/** A root file system that belongs to these ids of the host's. */
function rootOf(uid: number, gid: number): string {
  const root = world.rootfs();
  runBounded(["chown", "-hR", `${uid}:${gid}`, root]);
  return root;
}

/** A config with a new user namespace and these maps. */
function mapped(change: BundleChange = {}): BundleChange {
  return {
    root: { path: rootOf(100_000, 200_000) },
    ...change,
    linux: {
      namespaces: types.map((type) => ({ type })),
      uidMappings: uids,
      gidMappings: gids,
      ...change.linux,
    },
  };
}
const shell = (script: string): string[] => ["sh", "-c", script];
const pidOf = (id: string): number => Number(JSON.parse(world.runtime("state", id).out).pid);

describe("a new user namespace", () => {
  test("has its maps, its root has the wanted capabilities in it, and its files their host owner", () => {
    const root = rootOf(100_000, 200_000);
    const script =
      "cat /proc/self/uid_map /proc/self/gid_map; touch /tmp/made; grep CapEff /proc/self/status; id; stat -c %u:%g /dev/mqueue /dev/shm /proc/1";
    const { code, out, err } = world.run(mapped({ root: { path: root }, args: shell(script) }));
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const lines = out
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/).join(" "));
    expect(lines.slice(0, 2)).toEqual(["0 100000 65536", "0 200000 65536"]);
    expect(lines[2]).toBe("CapEff: 00000000a80425fb");
    expect(lines[3]).toStartWith("uid=0 gid=0");
    expect(lines.slice(4)).toEqual(["0:0", "0:0", "0:0"]);
    expect(statSync(`${root}/tmp/made`)).toMatchObject({ uid: 100_000, gid: 200_000 });
  });

  test("rights end at its border: the host's kernel cannot be changed", () => {
    const all = ["CAP_SYS_ADMIN", "CAP_SYS_TIME", "CAP_SYS_BOOT", "CAP_MKNOD"];
    const { out } = world.run(
      mapped({
        args: shell(
          "date -s 2000-01-01 2>&1; mknod /dev/x b 8 0 2>&1; echo 1 2>&1 > /proc/sys/vm/drop_caches",
        ),
        process: { capabilities: { bounding: all, effective: all, permitted: all } },
        linux: { readonlyPaths: [] },
      }),
    );
    expect(out).toContain("can't set date: Operation not permitted");
    expect(new Date().getFullYear()).toBeGreaterThan(2020);
    expect(out).toContain("not permitted");
  });

  test.each([
    ["one id", [{ containerID: 0, hostID: 4242, size: 1 }], { uid: 0, gid: 0 }, "4242"],
    [
      "several ranges",
      [
        { containerID: 0, hostID: 700_000, size: 10 },
        { containerID: 1000, hostID: 1000, size: 1 },
        { containerID: 20, hostID: 800_000, size: 5 },
      ],
      { uid: 1000, gid: 1000 },
      "1000",
    ],
    ["none for 0", [{ containerID: 5, hostID: 700_005, size: 3 }], { uid: 6, gid: 5 }, "700006"],
    ["the same as outside", [{ containerID: 0, hostID: 0, size: 4_294_967_295 }], { uid: 0, gid: 0 }, "0"],
  ] as const)("maps of %s", (_, maps, user, owner) => {
    // Its makers must be able to make mount points: they act as 0, or where that is not mapped as the process's user.
    const root = rootOf(Number(owner), Number(owner));
    chmodSync(root, 0o777);
    chmodSync(`${root}/tmp`, 0o777);
    const baseMounts: OciMount[] = [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"] },
    ];
    const { code, out, err } = world.run(
      mapped({
        root: { path: root },
        args: shell("touch /tmp/made; id -u"),
        baseMounts,
        process: { user },
        linux: { uidMappings: maps, gidMappings: maps },
      }),
    );
    expect({ code, out, err }).toEqual({ code: 0, out: `${user.uid}\n`, err: "" });
    expect(String(statSync(`${root}/tmp/made`).uid)).toBe(owner);
  });

  test("create and start as a user that is not root, exec as any", () => {
    const { id, ran } = world.start(mapped({ process: { user: { uid: 33, gid: 44, additionalGids: [5] } } }));
    expect(ran).toEqual({ code: 0, out: "", err: "" });
    const status = readFileSync(`/proc/${pidOf(id)}/status`, "utf8");
    expect(status).toContain("Uid:\t100033\t100033");
    expect(status).toContain("Gid:\t200044\t200044");
    expect(world.exec(id, "id").out).toStartWith("uid=33 gid=44");
    const script =
      "id -u; readlink /proc/self/ns/user; grep CapEff /proc/self/status; cat /proc/self/uid_map";
    const [uid, user, capabilities, map] = world
      .runtime("exec", "--user", "0:0", id, ...shell(script))
      .out.split("\n");
    expect([uid, user]).toEqual(["0", readlinkSync(`/proc/${pidOf(id)}/ns/user`)]);
    expect(capabilities).toContain("a80425fb");
    expect(map?.trim().split(/\s+/)).toEqual(["0", "100000", "65536"]);
    expect(world.runtime("delete", "--force", id).code).toBe(0);
  });

  test("create leaves a program that start lets go", () => {
    const { dir, id } = world.bundle(
      mapped({ args: shell("exit 0"), process: { user: { uid: 7, gid: 7 } } }),
    );
    const created = runBounded([
      "sh",
      "-c",
      '"$@" > /dev/null 2>&1 < /dev/null',
      "sh",
      ...world.command("create", "--bundle", dir, id),
    ]);
    expect(created.code).toBe(0);
    expect(world.runtime("start", id)).toEqual({ code: 0, out: "", err: "" });
    expect(world.runtime("delete", "--force", id).code).toBe(0);
  });

  test("a root and volumes behind directories that are closed to its root", () => {
    const closed = `${world.dir}/closed`;
    mkdirSync(`${closed}/volume`, { recursive: true });
    writeFileSync(`${closed}/volume/file`, "found\n");
    const root = rootOf(100_000, 200_000);
    runBounded(["mv", root, `${closed}/rootfs`]);
    chownSync(closed, 4242, 4242);
    chmodSync(closed, 0o700);
    const mounts = [
      { destination: "/mnt", type: "bind", source: `${closed}/volume`, options: ["rbind", "ro"] },
    ];
    const ran = world.run(
      mapped({
        root: { path: `${closed}/rootfs` },
        mounts,
        args: shell("cat /mnt/file; touch /mnt/x 2>/dev/null || echo read-only"),
      }),
    );
    expect(ran).toEqual({ code: 0, out: "found\nread-only\n", err: "" });
  });

  test("devices are the host's, sysctls and host name its own", () => {
    const { code, out, err } = world.run(
      mapped({
        args: shell(
          "echo x > /dev/null; dd if=/dev/zero bs=1 count=3 2>/dev/null | wc -c; cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/hostname",
        ),
        linux: { sysctl: { "net.ipv4.ip_forward": "1" } },
      }),
    );
    expect({ code, out, err }).toEqual({ code: 0, out: "3\n1\nbox\n", err: "" });
  });

  test.each([
    ["pid", "ls /proc/self/ns >/dev/null && echo ok"],
    ["ipc", "ls /dev/mqueue >/dev/null && echo ok"],
    ["network", "ls /sys/class/net/lo >/dev/null && echo ok"],
    ["cgroup", "ls /sys/fs/cgroup >/dev/null && echo ok"],
    ["uts", "echo ok"],
  ] as const)("the host's %s namespace in it", (shared, script) => {
    const namespaces = types.filter((type) => type !== shared).map((type) => ({ type }));
    const config = shared === "uts" ? { hostname: "" } : {};
    expect(world.run(mapped({ args: shell(script), config, linux: { namespaces } }))).toEqual({
      code: 0,
      out: "ok\n",
      err: "",
    });
  });

  test.each([
    ["process.user.uid", { process: { user: { uid: 70_000, gid: 0 } } }],
    ["process.user.gid", { process: { user: { uid: 0, gid: 70_000 } } }],
    ["process.user.additionalGids", { process: { user: { uid: 0, gid: 0, additionalGids: [70_000] } } }],
    ["/dev/pts", { linux: { gidMappings: [{ containerID: 0, hostID: 200_000, size: 5 }] } }],
    ["linux.uidMappings", { linux: { uidMappings: [] } }],
  ])("an id that is not mapped is named: %s", (path, change) => {
    const { code, err } = world.run(mapped(change));
    expect(code).toBe(1);
    expect(err).toContain(path);
  });

  test("maps that overlap leave nothing", () => {
    const both = [...uids, ...uids];
    const { code, err } = world.run(mapped({ linux: { uidMappings: both, gidMappings: both } }));
    expect(code).toBe(1);
    expect(err).toMatch(/map|overlap/);
    expect(JSON.parse(world.runtime("list", "--format", "json").out || "[]") ?? []).not.toContainEqual(
      expect.objectContaining({ status: "creating" }),
    );
  });
});

describe("a user namespace joined by path", () => {
  test("alone, with the others made in it; and with all of them", () => {
    const { id } = world.start(mapped());
    const at = (file: string): string => `/proc/${pidOf(id)}/ns/${file}`;
    const rest = types.filter((type) => type !== "user").map((type) => ({ type }));
    const user = { type: "user" as const, path: at("user") };
    const script = "readlink /proc/self/ns/user; readlink /proc/self/ns/net; id -u; stat -c %u /dev/mqueue";
    const root = { path: rootOf(100_000, 200_000) };
    const alone = world.run({ root, args: shell(script), linux: { namespaces: [...rest, user] } });
    const [there, net, uid, queue] = alone.out.split("\n");
    expect([there, uid, queue]).toEqual([readlinkSync(at("user")), "0", "0"]);
    expect(net).not.toBe(readlinkSync(at("net")));
    const files = { pid: "pid", network: "net", ipc: "ipc", uts: "uts", cgroup: "cgroup" } as const;
    const joined = Object.entries(files).map(([type, file]) => ({
      type: type as OciNamespaceType,
      path: at(file),
    }));
    const together = world.run({
      root,
      args: shell("for i in user pid net ipc uts cgroup; do readlink /proc/self/ns/$i; done"),
      config: { hostname: "" },
      linux: { namespaces: [{ type: "mount" }, ...joined, user] },
    });
    expect(together.out.trim().split("\n")).toEqual(
      ["user", "pid", "net", "ipc", "uts", "cgroup"].map((file) => readlinkSync(at(file))),
    );
  });

  test("a new one beside a network namespace of the host's", () => {
    const path = "/proc/self/ns/net";
    const namespaces = types.map((type) => (type === "network" ? { type, path } : { type }));
    const ran = world.run(
      mapped({
        args: shell("readlink /proc/self/ns/net; cat /proc/self/uid_map | wc -l; id -u"),
        linux: { namespaces },
      }),
    );
    expect(ran).toEqual({ code: 0, out: `${readlinkSync(path)}\n1\n0\n`, err: "" });
  });

  test("our own is nothing to join", () => {
    const namespaces = [
      ...types.filter((type) => type !== "user").map((type) => ({ type })),
      { type: "user" as const, path: "/proc/self/ns/user" },
    ];
    expect(world.run({ args: ["id", "-u"], linux: { namespaces } }).out).toBe("0\n");
  });
});

describe("id-mapped mounts", () => {
  const volume = `${world.dir}/volume`;
  mkdirSync(volume);
  for (const [name, id] of [
    ["root", 0],
    ["user", 1000],
  ] as const) {
    writeFileSync(`${volume}/${name}`, "");
    chownSync(`${volume}/${name}`, id, id);
  }
  const bind = (options: readonly string[], more: Partial<OciMount> = {}): OciMount[] => [
    { destination: "/mnt", type: "bind", source: volume, options, ...more },
  ];
  const owners = shell("stat -c %u:%g /mnt/root /mnt/user");

  test("without maps of their own: those of the container, so that owners look as on disk", () => {
    expect(world.run(mapped({ args: owners, mounts: bind(["rbind"]) })).out).toBe(
      "65534:65534\n65534:65534\n",
    );
    const written = shell("stat -c %u:%g /mnt/root /mnt/user; touch /mnt/new");
    expect(world.run(mapped({ args: written, mounts: bind(["rbind", "idmap"]) })).out).toBe(
      "0:0\n1000:1000\n",
    );
    expect(statSync(`${volume}/new`)).toMatchObject({ uid: 0, gid: 0 });
  });

  test("with maps of their own, with and without a user namespace", () => {
    const maps = {
      uidMappings: [{ containerID: 0, hostID: 7, size: 2000 }],
      gidMappings: [{ containerID: 0, hostID: 9, size: 2000 }],
    };
    expect(world.run({ args: owners, mounts: bind(["bind"], maps) }).out).toBe("7:9\n1007:1009\n");
    const inside = {
      uidMappings: [{ containerID: 0, hostID: 100_001, size: 2000 }],
      gidMappings: [{ containerID: 0, hostID: 200_002, size: 2000 }],
    };
    expect(world.run(mapped({ args: owners, mounts: bind(["rbind", "idmap"], inside) })).out).toBe(
      "1:2\n1001:1002\n",
    );
  });

  test("with crun's maps in the option, of the host and of the container", () => {
    const option = "idmap=uids=0-100003-2000;gids=@0-4-2000";
    expect(world.run(mapped({ args: owners, mounts: bind(["rbind", option]) })).out).toBe("3:4\n1003:1004\n");
  });

  test("ridmap is for what is mounted below, too", () => {
    const below = `${volume}/below`;
    mkdirSync(below, { recursive: true });
    runBounded(["mount", "-t", "tmpfs", "-o", "mode=755", "below", below]);
    writeFileSync(`${below}/file`, "");
    const args = shell("stat -c %u /mnt/root /mnt/below/file");
    try {
      expect(world.run(mapped({ args, mounts: bind(["rbind", "idmap"]) })).out).toBe("0\n65534\n");
      expect(world.run(mapped({ args, mounts: bind(["rbind", "ridmap"]) })).out).toBe("0\n0\n");
    } finally {
      runBounded(["umount", below]);
    }
  });

  test("a file system that cannot is named with its mount, and nothing is left", () => {
    const { code, err } = world.run(mapped({ mounts: bind(["rbind", "idmap"], { source: "/sys/kernel" }) }));
    expect(code).toBe(1);
    expect(err).toContain("id-map the mount on /mnt");
    expect(err).toContain("sysfs");
  });

  test("only a bind mount can be one", () => {
    const mounts: OciMount[] = [{ destination: "/mnt", type: "tmpfs", source: "tmpfs", options: ["idmap"] }];
    const { code, err } = world.run(mapped({ mounts }));
    expect(code).toBe(1);
    expect(err).toContain("/mnt");
  });
});
