/**
 * What belongs to the host keeps its owner, its mode and its name, whatever containers are made of it: devices (once a test
 * with these maps gave /dev/null to 100000:200000), files, pid files in a directory of everybody's. And a gantry-init that
 * waits in the namespaces of a hostile container is not open to it. As root: scripts/bun test test/security/oci-host-objects.test.ts
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { defaultCapabilities } from "../../src/runtime/defaults.ts";
import type { OciMount, OciNamespaceType } from "../../src/runtime/oci-types.ts";
import { type BundleChange, OciBundles, runBounded } from "../lib/oci-bundle.ts";

setDefaultTimeout(60_000);

const world = new OciBundles("hostobjects");
afterAll(() => {
  // Also what a test that failed has left.
  if (existsSync(`${world.dir}/state`))
    for (const id of readdirSync(`${world.dir}/state`)) world.runtime("delete", "--force", id);
  world.cleanUp();
}, 60_000);

const maps = {
  uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
  gidMappings: [{ containerID: 0, hostID: 200_000, size: 65_536 }],
};
const types: readonly OciNamespaceType[] = ["mount", "pid", "network", "ipc", "uts", "cgroup", "user"];

function mapped(change: BundleChange): BundleChange {
  const root = world.rootfs();
  runBounded(["chown", "-hR", "100000:200000", root]);
  return {
    root: { path: root },
    ...change,
    linux: { namespaces: types.map((type) => ({ type })), ...maps, ...change.linux },
  };
}

interface Look {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly rdev: number;
}
const lookAt = (path: string): Look => {
  const { uid, gid, mode, rdev } = lstatSync(path);
  return { uid, gid, mode, rdev };
};

/** Everything in these directories. What has changed is put right again: the machine must go on. */
function changesOf(dirs: readonly string[], work: () => void): Readonly<Record<string, unknown>> {
  const before = new Map(
    dirs
      .flatMap((dir) => [dir, ...readdirSync(dir).map((name) => `${dir}/${name}`)])
      .map((path) => [path, lookAt(path)]),
  );
  work();
  const changed: Record<string, unknown> = {};
  for (const [path, was] of before) {
    const is = lookAt(path);
    if (Bun.deepEquals(is, was)) continue;
    changed[path] = { was, is };
    if ((is.mode & 0o170_000) !== (was.mode & 0o170_000)) continue;
    chownSync(path, was.uid, was.gid);
    chmodSync(path, was.mode & 0o7777);
  }
  return changed;
}

/** With /dev/null as stdin, stdout and stderr: what a daemon gives. */
function onNull(...words: readonly string[]): number {
  const ran = Bun.spawnSync([...world.command(...words)], {
    stdio: ["ignore", "ignore", "ignore"],
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  return ran.exitCode;
}

/** create, start, exec as other users and on a terminal, kill, delete. */
function wholeLife(change: BundleChange): void {
  const { dir, id } = world.bundle({ args: ["sleep", "1000"], ...change });
  try {
    const { code, err } = runBounded([
      "sh",
      "-c",
      'exec "$@" < /dev/null > /dev/null 2> "$0"',
      `${dir}/err`,
      ...world.command("create", "--bundle", dir, id),
    ]);
    expect({ code, err: err + readFileSync(`${dir}/err`, "utf8") }).toEqual({ code: 0, err: "" });
    expect(onNull("start", id)).toBe(0);
    expect(onNull("exec", id, "true")).toBe(0);
    expect(onNull("exec", "--user", "1000:1000", id, "true")).toBe(0);
    expect(onNull("exec", "--tty", "--user", "7", id, "true")).toBeLessThan(256);
  } finally {
    expect(onNull("delete", "--force", id)).toBe(0);
  }
}

const hostDev: OciMount = { destination: "/dev", type: "bind", source: "/dev", options: ["rbind", "rw"] };
const nullBinds: readonly OciMount[] = ["/dev/null", "/mnt/null"].map((destination) => ({
  destination,
  type: "bind",
  source: "/dev/null",
  options: ["bind"],
}));
const devices = [
  { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o600, uid: 7, gid: 8 },
  { path: "/dev/full", type: "c", major: 1, minor: 7, uid: 7, gid: 8 },
] as const;
const proc: OciMount = { destination: "/proc", type: "proc", source: "proc" };

describe("the host's devices stay as they are", () => {
  const changes: Readonly<Record<string, BundleChange>> = {
    "the defaults": {},
    "a user other than root": { process: { user: { uid: 5, gid: 6 } } },
    "devices with owners and modes of their own": { linux: { devices } },
    "/dev/null bound on itself": { mounts: nullBinds, linux: { devices } },
    "/dev bound from the host": {
      baseMounts: [proc, hostDev],
      linux: { devices, maskedPaths: ["/proc/keys"] },
    },
    "/dev copied up into a tmpfs": {
      baseMounts: [proc, hostDev],
      mounts: [{ destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "mode=755"] }],
      // Without device nodes in a user namespace there is nothing to mask files with.
      linux: { maskedPaths: [] },
    },
  };
  for (const [name, change] of Object.entries(changes)) {
    test(`in a user namespace: ${name}`, () => {
      expect(changesOf(["/dev"], () => wholeLife(mapped(change)))).toEqual({});
    });
    test(`without one: ${name}`, () => {
      expect(changesOf(["/dev"], () => wholeLife(change))).toEqual({});
    });
  }

  for (const inUser of [true, false])
    test(`below a bound directory a node that is the device is left, ${inUser ? "in" : "without"} a user namespace`, () => {
      const dir = `${world.dir}/nodes-${inUser}`;
      mkdirSync(dir);
      runBounded(["mknod", "-m", "666", `${dir}/null`, "c", "1", "3"]);
      const change: BundleChange = {
        mounts: [{ destination: "/mnt/dev", type: "bind", source: dir, options: ["bind"] }],
        linux: { devices: [{ ...devices[0], path: "/mnt/dev/null" }] },
      };
      const inode = statSync(`${dir}/null`).ino;
      expect(changesOf([dir], () => wholeLife(inUser ? mapped(change) : change))).toEqual({});
      expect(statSync(`${dir}/null`).ino).toBe(inode);
    });

  test("files of the host as stdio keep their owner", () => {
    const { dir, id } = world.bundle(mapped({ process: { user: { uid: 5, gid: 6 } } }));
    const file = `${world.dir}/stdio`;
    writeFileSync(file, "");
    const changed = changesOf([world.dir], () => {
      const words = world.command("run", "--bundle", dir, id);
      expect(runBounded(["sh", "-c", 'exec "$@" < "$0" > "$0" 2>&1', file, ...words]).code).toBe(0);
    });
    expect(changed).toEqual({});
  });
});

describe("a pid file in a directory of everybody's", () => {
  test("is never what somebody has put in its way", () => {
    const dir = `${world.dir}/everybody`;
    mkdirSync(dir);
    chmodSync(dir, 0o1777);
    const victim = `${world.dir}/victim`;
    writeFileSync(victim, "untouched");
    const traps: Readonly<Record<string, (path: string) => void>> = {
      file: (path) => {
        writeFileSync(path, "");
        chownSync(path, 65_534, 65_534);
        chmodSync(path, 0o666);
      },
      fifo: (path) => void runBounded(["mkfifo", "-m", "666", path]),
      link: (path) => symlinkSync(victim, path),
    };
    for (const [name, lay] of Object.entries(traps)) {
      const file = `${dir}/${name}.pid`;
      lay(`${file}.tmp`);
      const made = world.bundle({ args: ["true"] });
      const begin = Date.now();
      expect(onNull("create", "--pid-file", file, "--bundle", made.dir, made.id), name).toBe(0);
      expect(Date.now() - begin).toBeLessThan(20_000);
      expect(lstatSync(file), name).toMatchObject({ uid: 0, gid: 0, mode: 0o100_600 });
      expect(world.runtime("delete", "--force", made.id).code).toBe(0);
    }
    expect(readFileSync(victim, "utf8")).toBe("untouched");
  });
});

describe("sockets of another process", () => {
  test("LISTEN_FDS beside another's LISTEN_PID passes nothing on", () => {
    const secret = `${world.dir}/secret`;
    writeFileSync(secret, "secret\n");
    const run = (pid: string): string => {
      const { dir, id } = world.bundle({ args: ["sh", "-c", "cat <&3; echo $LISTEN_FDS"] });
      const script = `LISTEN_FDS=1 LISTEN_PID=${pid} exec "$@" 3< ${secret}`;
      return runBounded(["sh", "-c", script, "sh", ...world.command("run", "--bundle", dir, id)]).out;
    };
    expect(run("$$")).toBe("secret\n1\n");
    expect(run("1")).toBe("\n");
  });
});

describe("the caller's groups", () => {
  test("do not come along into a user namespace that denies setgroups", () => {
    const script =
      "unshare --user --map-root-user sleep 1000 < /dev/null > /dev/null 2>&1 & echo $!; sleep 0.2";
    const holder = Number(runBounded(["sh", "-c", script]).out);
    try {
      const change: BundleChange = {
        args: ["sh", "-c", "grep ^Groups: /proc/self/status; sleep 1000"],
        baseMounts: [proc],
        linux: {
          namespaces: types.map((type) =>
            type === "user" ? { type, path: `/proc/${holder}/ns/user` } : { type },
          ),
        },
      };
      const { dir, id } = world.bundle(change);
      const rich = ["setpriv", "--groups", "0,4,27"];
      const out = `${dir}/groups`;
      const begun = runBounded([
        "sh",
        "-c",
        'exec "$@" < /dev/null > "$0" 2>&1',
        out,
        ...rich,
        ...world.command("run", "--detach", "--bundle", dir, id),
      ]);
      expect({ code: begun.code, said: readFileSync(out, "utf8") }).toMatchObject({ code: 0 });
      const ran = runBounded([
        ...rich,
        ...world.command("exec", id, "grep", "^Groups:", "/proc/self/status"),
      ]);
      expect(ran.out.trim()).toBe("Groups:");
      expect(readFileSync(out, "utf8").trim()).toBe("Groups:");
      expect(onNull("delete", "--force", id)).toBe(0);
    } finally {
      process.kill(holder, "SIGKILL");
    }
  });
});

describe("hooks that write without end", () => {
  const script = "for i in 1 2 3 4 5 6 7 8; do cat /dev/zero & done; wait";
  for (const kind of ["createRuntime", "poststart"] as const)
    test(`${kind}: end at their time-out`, () => {
      const begin = Date.now();
      const hooks = { [kind]: [{ path: "/bin/sh", args: ["sh", "-c", script], timeout: 1 }] };
      const { dir, id } = world.bundle({ config: { hooks } });
      expect(world.runtime("run", "--bundle", dir, id)).toMatchObject({
        code: 1,
        err: expect.stringContaining("hook ran past specified timeout of 1s"),
      });
      expect(Date.now() - begin).toBeLessThan(20_000);
    });
});

describe("a gantry-init in the namespaces of a hostile container", () => {
  test("its root, with CAP_SYS_PTRACE, reads neither descriptors nor memory nor the root of one that waits", () => {
    const all = ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", ...defaultCapabilities];
    const strong = { capabilities: { bounding: all, effective: all, permitted: all } };
    const hostile = world.start(mapped({ process: strong }));
    expect(hostile.ran).toMatchObject({ code: 0 });
    const first: number = Number(JSON.parse(world.runtime("state", hostile.id).out).pid);
    const joined = types.map((type) =>
      type === "user" || type === "pid" ? { type, path: `/proc/${first}/ns/${type}` } : { type },
    );
    const waiting = world.bundle(mapped({ linux: { namespaces: joined } }));
    try {
      expect(onNull("create", "--bundle", waiting.dir, waiting.id)).toBe(0);
      // Control: the container's own process is open to it.
      const look = (of: string): string =>
        world.exec(
          hostile.id,
          "sh",
          "-c",
          `for p in /proc/[0-9]*; do grep -q '^Name:.*${of}' $p/status || continue; echo seen; for f in fd/0 root exe ns/mnt; do readlink $p/$f >/dev/null 2>&1 && echo "$f open"; done; for f in environ mem maps; do head -c 1 $p/$f >/dev/null 2>&1 && echo "$f open"; done; done`,
        ).out;
      expect(look("sleep")).toContain("fd/0 open");
      const waits = Number(JSON.parse(world.runtime("state", waiting.id).out).pid);
      const name = /^Name:\s*(.*)$/m.exec(readFileSync(`/proc/${waits}/status`, "utf8"))?.[1] ?? "";
      expect(look(name)).toBe("seen\n");
    } finally {
      expect(onNull("delete", "--force", waiting.id)).toBe(0);
    }
  });
});

describe("cgroups that a container makes deeper than a path is long", () => {
  test("delete removes them all, with what runs there", () => {
    const { id, ran } = world.start({});
    expect(ran).toMatchObject({ code: 0 });
    const base = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((dir) =>
      existsSync(`${dir}/${id}`),
    );
    const script = `
import os, subprocess, sys
os.chdir(sys.argv[1])
for i in range(2600):
    if i == 1000:
        os.mkdir("other"); os.mkdir("other/below")
        sleeper = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        open("other/below/cgroup.procs", "w").write(str(sleeper.pid))
        print(sleeper.pid)
    os.mkdir("a"); os.chdir("a")
`;
    const made = runBounded(["python3", "-c", script, `${base}/${id}`]);
    expect(made).toMatchObject({ code: 0, err: "" });
    expect(onNull("delete", "--force", id)).toBe(0);
    expect(existsSync(`${base}/${id}`)).toBe(false);
    // Nobody waits for it: it is gone, or a zombie.
    const state = existsSync(`/proc/${made.out.trim()}/status`)
      ? readFileSync(`/proc/${made.out.trim()}/status`, "utf8")
      : "State:\tZ";
    expect(state).toMatch(/^State:\tZ/m);
  });
});
