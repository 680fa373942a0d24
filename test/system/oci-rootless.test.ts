/** Containers of an ordinary user. As root, which becomes one: scripts/bun test test/system/oci-rootless.test.ts */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import type { OciConfig } from "../../src/runtime/oci-types.ts";
import { OciBundles, runBounded } from "../lib/oci-bundle.ts";
import { ociRuntime, type Ran } from "../lib/oci-world.ts";

const world = new OciBundles("rootless");
afterAll(() => world.cleanUp());

const uid = 12_345;
let count = 0;
let example: OciConfig;

class User {
  readonly uid: number;
  readonly home: string;
  readonly started: string[] = [];

  constructor(id: number) {
    this.uid = id;
    this.home = `${world.dir}/home${id}`;
    mkdirSync(`${this.home}/run`, { recursive: true });
    for (const dir of [this.home, `${this.home}/run`]) chownSync(dir, id, id);
  }

  oci(words: readonly string[], cwd = this.home, path = "/usr/sbin:/usr/bin:/sbin:/bin"): Ran {
    const id = String(this.uid);
    // Its stdio outlives a detached command: no pipe could end.
    const script =
      'cd "$1" || exit 99; shift; "$@" > "$0" 2> "$0.err" < /dev/null; code=$?; cat "$0"; cat "$0.err" >&2; exit $code';
    return runBounded([
      "setpriv",
      "--reuid",
      id,
      "--regid",
      id,
      "--clear-groups",
      "--inh-caps=-all",
      "/usr/bin/env",
      "-i",
      `PATH=/usr/bin:/bin`,
      `XDG_RUNTIME_DIR=${this.home}/run`,
      "sh",
      "-c",
      script,
      `${this.home}/out`,
      cwd,
      "/usr/bin/env",
      `PATH=${path}`,
      ociRuntime,
      ...words,
    ]);
  }

  /** A bundle of this user's with what `spec --rootless` writes, changed. */
  bundle(change: (config: OciConfig) => OciConfig): { readonly dir: string; readonly id: string } {
    const id = `r${process.pid}-${count++}`;
    const dir = `${this.home}/${id}`;
    mkdirSync(dir);
    runBounded(["mv", world.rootfs(), `${dir}/rootfs`]);
    chmodSync(`${dir}/rootfs/tmp`, 0o777);
    writeFileSync(`${dir}/config.json`, JSON.stringify(change(forUser(example, this.uid))));
    runBounded(["chown", "-R", `${this.uid}:${this.uid}`, dir]);
    return { dir, id };
  }

  run(args: readonly string[], change: (config: OciConfig) => OciConfig = (config) => config): Ran {
    const { dir, id } = this.bundle((config) => change(withArgs(config, args)));
    return this.oci(["run", id], dir);
  }
}

function forUser(config: OciConfig, id: number): OciConfig {
  const maps = [{ containerID: 0, hostID: id, size: 1 }];
  return {
    ...config,
    root: { path: "rootfs" },
    linux: { ...config.linux, uidMappings: maps, gidMappings: maps },
  };
}

function withArgs(config: OciConfig, args: readonly string[]): OciConfig {
  return { ...config, process: { cwd: "/", ...config.process, terminal: false, args, env: ["PATH=/bin"] } };
}

const withLinux =
  (linux: Partial<OciConfig["linux"]>) =>
  (config: OciConfig): OciConfig => ({ ...config, linux: { ...config.linux, ...linux } });

const user = new User(uid);

beforeAll(() => {
  const dir = `${user.home}/spec`;
  mkdirSync(dir);
  chownSync(dir, uid, uid);
  expect(user.oci(["spec", "--rootless"], dir)).toEqual({ code: 0, out: "", err: "" });
  example = JSON.parse(readFileSync(`${dir}/config.json`, "utf8")) as OciConfig;
});

describe("what spec --rootless writes runs", () => {
  test("as root of its own user namespace, with one id", () => {
    const { dir, id } = user.bundle((config) =>
      withArgs(config, [
        "sh",
        "-c",
        "id -u; cat /proc/self/uid_map /proc/self/setgroups; touch /tmp/made; stat -c %u /dev/shm",
      ]),
    );
    const { code, out, err } = user.oci(["run", id], dir);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out.split("\n").map((line) => line.trim().split(/\s+/).join(" "))).toEqual([
      "0",
      `0 ${uid} 1`,
      "deny",
      "0",
      "",
    ]);
    expect(statSync(`${dir}/rootfs/tmp/made`).uid).toBe(uid);
    expect(readdirSync(`${user.home}/run/gantry-oci`)).toEqual([]);
  });

  test("create, start, state, exec, kill, delete; the state is in $XDG_RUNTIME_DIR", () => {
    const { dir, id } = user.bundle((config) => withArgs(config, ["sleep", "100"]));
    expect(user.oci(["create", id], dir)).toEqual({ code: 0, out: "", err: "" });
    expect(existsSync(`${user.home}/run/gantry-oci/${id}`)).toBe(true);
    expect(user.oci(["start", id])).toEqual({ code: 0, out: "", err: "" });
    expect(JSON.parse(user.oci(["state", id]).out).status).toBe("running");
    expect(user.oci(["exec", id, "sh", "-c", "id -u; exit 5"])).toEqual({ code: 5, out: "0\n", err: "" });
    expect(user.oci(["kill", id, "KILL"]).code).toBe(0);
    expect(user.oci(["delete", "--force", id]).code).toBe(0);
    expect(user.oci(["state", id]).code).toBe(1);
  });

  test("with a network and clocks of its own", () => {
    const { code, out } = user.run(
      ["sh", "-c", "cat /sys/class/net/lo/flags; cat /proc/uptime"],
      (config) => ({
        ...config,
        linux: {
          ...config.linux,
          namespaces: [...(config.linux?.namespaces ?? []), { type: "network" }, { type: "time" }],
          timeOffsets: { boottime: { secs: 5_000_000 } },
        },
      }),
    );
    expect(code).toBe(0);
    expect(out).toMatch(/^0x9\n5\d{6}\./);
  });

  test("a namespace of a running one is joined by path", () => {
    const { dir, id } = user.bundle((config) => withArgs(config, ["sleep", "100"]));
    expect(user.oci(["run", "--detach", id], dir).code).toBe(0);
    try {
      const { pid } = JSON.parse(user.oci(["state", id]).out);
      const { code, out, err } = user.run(
        ["sh", "-c", "readlink /proc/self/ns/user; cat /proc/1/cmdline"],
        (config) => ({
          ...config,
          hostname: "",
          linux: {
            ...config.linux,
            namespaces: [
              { type: "mount" },
              ...(["user", "pid", "ipc", "uts"] as const).map((type) => ({
                type,
                path: `/proc/${pid}/ns/${type}`,
              })),
            ],
          },
        }),
      );
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(out).toContain("sleep");
    } finally {
      expect(user.oci(["delete", "--force", id]).code).toBe(0);
    }
  });
});

describe("as root of a user namespace, as podman runs it for an ordinary user", () => {
  const within = (dir: string, id: string): Ran => {
    const own = String(uid);
    const script = 'cd "$0" && exec "$@" < /dev/null';
    return runBounded([
      "setpriv",
      "--reuid",
      own,
      "--regid",
      own,
      "--clear-groups",
      "--inh-caps=-all",
      "/usr/bin/env",
      "-i",
      "PATH=/usr/bin:/bin",
      `XDG_RUNTIME_DIR=${user.home}/run`,
      "unshare",
      "--user",
      "--map-root-user",
      "sh",
      "-c",
      script,
      dir,
      ociRuntime,
      "run",
      id,
    ]);
  };
  const mapOf = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];

  test("a user namespace in it", () => {
    const { dir, id } = user.bundle((config) =>
      withLinux({ uidMappings: mapOf(0), gidMappings: mapOf(0) })(
        withArgs(config, ["sh", "-c", "id -u; cat /proc/self/setgroups"]),
      ),
    );
    expect(within(dir, id)).toEqual({ code: 0, out: "0\ndeny\n", err: "" });
    expect(readdirSync(`${user.home}/run/gantry-oci`)).toEqual([]);
  });

  test("none of its own", () => {
    const namespaces = (["mount", "pid", "ipc", "uts"] as const).map((type) => ({ type }));
    const { dir, id } = user.bundle((config) =>
      withLinux({ namespaces, uidMappings: [], gidMappings: [] })(withArgs(config, ["id", "-u"])),
    );
    expect(within(dir, id)).toEqual({ code: 0, out: "0\n", err: "" });
  });
});

describe("cgroups", () => {
  test("without rights there are none, and device rules are passed over", () => {
    const devices = [{ allow: false, access: "rwm" }];
    expect(user.run(["true"], withLinux({ resources: { devices } }))).toEqual({ code: 0, out: "", err: "" });
  });

  test("a limit that cannot be set is an error that names it", () => {
    const { code, err } = user.run(
      ["true"],
      withLinux({ resources: { memory: { limit: 64 << 20 }, pids: { limit: 9 } } }),
    );
    expect(code).toBe(1);
    expect(err).toContain("linux.resources.memory");
    expect(err).toContain("linux.resources.pids");
  });

  test.skipIf(!existsSync("/sys/fs/cgroup/pids/tasks"))("delegated ones are used, with their limits", () => {
    const dir = `/sys/fs/cgroup/pids/gantry-rootless-${process.pid}`;
    mkdirSync(dir);
    for (const path of [dir, `${dir}/tasks`, `${dir}/cgroup.procs`]) chownSync(path, uid, uid);
    try {
      const cgroupsPath = `${dir.slice("/sys/fs/cgroup/pids".length)}/one`;
      const args = ["sh", "-c", "grep :pids: /proc/self/cgroup; cat /sys/fs/cgroup/pids/pids.max"];
      const { code, out, err } = user.run(
        args,
        withLinux({ cgroupsPath, resources: { pids: { limit: 9 } } }),
      );
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(out).toContain(`:pids:${cgroupsPath}\n9\n`);
      expect(readdirSync(dir)).not.toContain("one");
    } finally {
      runBounded(["rmdir", dir]);
    }
  });
});

describe("what only root may", () => {
  test.each([
    [
      "no user namespace",
      (config: OciConfig) =>
        withLinux({ namespaces: [{ type: "mount" }, { type: "uts" }], uidMappings: [], gidMappings: [] })(
          config,
        ),
      "rootless container requires user namespaces",
    ],
    [
      "ids of others without newuidmap",
      withLinux({ uidMappings: [{ containerID: 0, hostID: uid, size: 2 }] }),
      "linux.uidMappings",
    ],
    [
      "further groups",
      (config: OciConfig) => ({
        ...config,
        process: { cwd: "/", ...config.process, user: { uid: 0, gid: 0, additionalGids: [0] } },
      }),
      "process.user.additionalGids",
    ],
    [
      "id-mapped mounts",
      (config: OciConfig) => ({
        ...config,
        mounts: [
          ...(config.mounts ?? []),
          { destination: "/mnt", type: "bind", source: "/tmp", options: ["rbind", "idmap"] },
        ],
      }),
      "the mount on /mnt: id-mapped mounts need root",
    ],
    [
      "a group that is not mapped",
      (config: OciConfig) => ({
        ...config,
        mounts: [
          ...(config.mounts ?? []),
          { destination: "/mnt", type: "tmpfs", source: "tmpfs", options: ["gid=5"] },
        ],
      }),
      "gid=5 is not mapped by linux.gidMappings",
    ],
  ])("%s", (_, change, words) => {
    const { dir, id } = user.bundle((config) => change(withArgs(config, ["true"])));
    const { code, err } = user.oci(["run", id], dir, "/nowhere");
    expect(code).toBe(1);
    expect(err).toContain(words);
    expect(readdirSync(`${user.home}/run/gantry-oci`)).toEqual([]);
  });

  test("a lower OOM score is passed over, as with runc", () => {
    const lower = (config: OciConfig): OciConfig => ({
      ...config,
      process: { cwd: "/", ...config.process, oomScoreAdj: -900 },
    });
    expect(user.run(["true"], lower)).toEqual({ code: 0, out: "", err: "" });
  });
});

// The programs want a name in /etc/passwd: that of an account of Debian's own which nobody uses.
const named = 34;
describe.skipIf(
  Bun.which("newuidmap") === null || !readFileSync("/etc/passwd", "utf8").includes(`backup:x:${named}:`),
)("with newuidmap and newgidmap", () => {
  const saved = new Map<string, string>();
  beforeAll(() => {
    for (const [file, first] of [
      ["/etc/subuid", 700_000],
      ["/etc/subgid", 800_000],
    ] as const) {
      saved.set(file, existsSync(file) ? readFileSync(file, "utf8") : "");
      appendFileSync(file, `backup:${first}:65536\n`);
    }
  });
  afterAll(() => {
    for (const [file, text] of saved) writeFileSync(file, text);
  });
  const other = new User(named);
  const ranges = (uids: number, gids: number): ((config: OciConfig) => OciConfig) =>
    withLinux({
      uidMappings: [
        { containerID: 0, hostID: named, size: 1 },
        { containerID: 1, hostID: uids, size: 1000 },
      ],
      gidMappings: [
        { containerID: 0, hostID: named, size: 1 },
        { containerID: 1, hostID: gids, size: 1000 },
      ],
    });

  test("ranges of ids, users and groups of them", () => {
    const { dir, id } = other.bundle((config) =>
      ranges(
        700_000,
        800_000,
      )({
        ...withArgs(config, ["sh", "-c", "id; touch /tmp/made"]),
        process: {
          ...withArgs(config, ["sh", "-c", "id; touch /tmp/made"]).process,
          cwd: "/",
          user: { uid: 7, gid: 8, additionalGids: [9] },
        },
      }),
    );
    const { code, out, err } = other.oci(["run", id], dir);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith("uid=7 gid=8 groups=9");
    expect(statSync(`${dir}/rootfs/tmp/made`)).toMatchObject({ uid: 700_006, gid: 800_007 });
  });

  test("a range that is not the user's: the program's own words", () => {
    const { code, err } = other.run(["true"], ranges(1000, 1000));
    expect(code).toBe(1);
    expect(err).toMatch(/new[ug]idmap: .*not allowed/);
    expect(err).toContain("/etc/subuid");
  });
});
