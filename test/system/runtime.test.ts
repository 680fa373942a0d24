/** The runtime on the real kernel. As root: scripts/bun test test/system/runtime.test.ts */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { GantryError } from "../../src/lib/index.ts";
import {
  cgroupPids,
  defaultMounts,
  isFrozen,
  planExec,
  readCgroupStats,
  readStatusFile,
  setFrozen,
  updateResources,
} from "../../src/runtime/index.ts";
import {
  allStreams,
  cgroupLeftovers,
  cgroups,
  collect,
  launch,
  run,
  runtime,
  World,
} from "./runtime-world.ts";

const world = new World();
afterAll(() => world.cleanUp());
const sh = (script: string, change: object = {}) => ({ args: ["sh", "-c", script], ...change });
const mib = 1 << 20;

async function errorOf(promise: Promise<unknown>): Promise<GantryError> {
  try {
    await promise;
  } catch (error) {
    return error as GantryError;
  }
  throw new Error("did not fail");
}

describe("a container", () => {
  test("prints on both streams, reads stdin, exits with its code, and leaves no cgroup", async () => {
    const input = world.container(sh("cat; echo err >&2; exit 7"));
    const ran = await run(input, "hi");
    expect(ran).toMatchObject({
      stdout: "hi",
      stderr: "err\n",
      exited: { exitCode: 7, signal: 0, oomKilled: false },
    });
    expect(cgroupLeftovers(input.cgroupsPath)).toEqual([]);
  });

  test("writes to its own layer only", async () => {
    const input = world.container(sh("echo new > /root/file"));
    await run(input);
    expect(readFileSync(`${input.dir}/upper/root/file`, "utf8")).toBe("new\n");
    expect(existsSync(`${world.rootfs}/root/file`)).toBe(false);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(input.dir);
  });

  test("is process 1, alone, with its host name, no network but lo", async () => {
    const { stdout } = await run(
      world.container(sh("echo $$; hostname; ls /sys/class/net; ls -d /proc/[0-9]* | wc -l")),
    );
    expect(stdout).toBe("1\nbox\nlo\n3\n");
  });

  test("has docker's capabilities, a seccomp filter, and its user's ids", async () => {
    const { stdout } = await run(
      world.container(
        sh("grep -E '^(CapBnd|CapEff|CapAmb|Seccomp):' /proc/self/status; id", {
          user: { uid: 1000, gid: 100, additionalGids: [10] },
        }),
      ),
    );
    expect(stdout).toContain("CapEff:\t0000000000000000");
    expect(stdout).toContain("CapBnd:\t00000000a80425fb");
    expect(stdout).toContain("Seccomp:\t2");
    expect(stdout).toContain("uid=1000 gid=100 groups=10");
    const root = await run(world.container(sh("grep CapEff /proc/self/status")));
    expect(root.stdout).toBe("CapEff:\t00000000a80425fb\n");
  });

  test("works under no_new_privs", async () => {
    const { stdout } = await run(
      world.container(sh("grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status", { noNewPrivileges: true })),
    );
    expect(stdout).toBe("NoNewPrivs:\t1\nSeccomp:\t2\n");
  });

  test.each([
    ["mount a file system", "mount -t tmpfs x /tmp"],
    ["write to a read-only path", "echo 1 > /proc/sys/kernel/panic"],
    ["write to the cgroup", "mkdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/memory/x"],
    ["read a masked file", "test -s /proc/kcore"],
    ["list a masked directory", "ls /sys/firmware | grep ."],
    ["read a disk through a device node", "mknod /tmp/d b 254 0 && head -c 1 /tmp/d"],
    ["unmount what hides", "umount /proc/kcore"],
  ])("cannot %s", async (_, script) => {
    const { exited } = await run(world.container(sh(script)));
    expect(exited?.exitCode).not.toBe(0);
    expect(exited?.signal).toBe(0);
  });

  test("has docker's devices and links", async () => {
    const { stdout, stderr } = await run(
      world.container(
        sh(
          "for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done; readlink /dev/ptmx; readlink /dev/stdout; echo x > /dev/null; head -c 2 /dev/zero | wc -c; ls -d /dev/shm /dev/mqueue /dev/pts",
        ),
      ),
    );
    expect({ stdout, stderr }).toEqual({
      stdout: "pts/ptmx\n/proc/self/fd/1\n2\n/dev/mqueue\n/dev/pts\n/dev/shm\n",
      stderr: "",
    });
  });

  test("with a read-only root cannot write there, but to its mounts", async () => {
    const config = { root: { path: "/", readonly: true } };
    const { stdout, exited } = await run(
      world.container(sh("touch /x; touch /dev/shm/x && echo shm"), { config }),
    );
    expect(stdout).toBe("shm\n");
    expect(exited?.exitCode).toBe(0);
  });

  test("sees a bind mount, read-only all the way down", async () => {
    writeFileSync(`${world.dir}/shared`, "data");
    const mounts = [
      ...defaultMounts,
      { destination: "/mnt/deep/file", source: `${world.dir}/shared`, options: ["rbind", "rro"] },
    ];
    const { stdout, exited } = await run(
      world.container(sh("cat /mnt/deep/file; echo no > /mnt/deep/file"), { config: { mounts } }),
    );
    expect(stdout).toBe("data");
    expect(exited?.exitCode).toBe(1);
  });

  test("has a working directory that is made, and its limits on files", async () => {
    const process = sh("pwd; ulimit -n", {
      cwd: "/made/here",
      rlimits: [{ type: "RLIMIT_NOFILE", soft: 64, hard: 128 }],
    });
    expect((await run(world.container(process))).stdout).toBe("/made/here\n64\n");
  });

  test("a killed one has 128 + signal", async () => {
    const { session, control } = await launch(world.container(sh("sleep 60 & wait")));
    await control.signal(9);
    expect((await collect(session)).exited).toMatchObject({ exitCode: 137, signal: 9, oomKilled: false });
    expect(await control.exited).toMatchObject({ exitCode: 137 });
  });

  test("under a small init gets signals and exit codes through", async () => {
    const input = { ...world.container(sh("exit 5")), useInit: true };
    expect((await run(input)).exited?.exitCode).toBe(5);
  });
});

describe("limits", () => {
  test("stand in the cgroup before the program runs, and can be changed and read", async () => {
    const resources = {
      memory: { limit: 64 * mib },
      pids: { limit: 30 },
      cpu: { shares: 512, quota: 50_000, period: 100_000 },
    };
    const input = world.container(
      sh(
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; sleep 60 & wait",
      ),
      { resources },
    );
    const { session, control, started } = await launch(input);
    let first = "";
    session.begin({
      onOutput: (_s, bytes) => void (first += new TextDecoder().decode(bytes)),
      onEnd: () => {},
    });
    for (let i = 0; i < 200 && first === ""; i++) await Bun.sleep(10);
    expect(first).toBe(`${64 * mib}\n`);
    const stats = readCgroupStats(cgroups, input.cgroupsPath);
    expect(stats.memory?.limit).toBe(64 * mib);
    expect(stats.memory?.usage).toBeGreaterThan(0);
    expect(stats.pids?.limit).toBe(30);
    expect(stats.cpu?.totalNs).toBeGreaterThan(0);
    expect(cgroupPids(cgroups, input.cgroupsPath)).toContain(started.pid);
    updateResources(cgroups, input.cgroupsPath, { memory: { limit: 32 * mib }, pids: { limit: 20 } });
    const changed = readCgroupStats(cgroups, input.cgroupsPath);
    expect([changed.memory?.limit, changed.pids?.limit]).toEqual([32 * mib, 20]);
    await setFrozen(cgroups, input.cgroupsPath, true);
    expect(isFrozen(cgroups, input.cgroupsPath)).toBe(true);
    await setFrozen(cgroups, input.cgroupsPath, false);
    expect(isFrozen(cgroups, input.cgroupsPath)).toBe(false);
    await control.signal(9);
    await control.exited;
    expect(readCgroupStats(cgroups, input.cgroupsPath)).toEqual({});
  });

  test("an OOM kill is reported", async () => {
    const input = world.container(sh("tail /dev/zero"), { resources: { memory: { limit: 16 * mib } } });
    const { exited } = await run(input);
    expect(exited).toMatchObject({ oomKilled: true });
    expect(exited?.exitCode).toBeGreaterThan(0);
  });

  test("no more processes than allowed", async () => {
    const script = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done; wait";
    const { stderr } = await run(world.container(sh(script), { resources: { pids: { limit: 5 } } }));
    expect(stderr).toContain("can't fork");
  });
});

describe("a failure", () => {
  test.each([
    {
      name: "no such program",
      process: { args: ["nope"] },
      code: "command-not-found",
      words: 'exec: "nope": executable file not found in $PATH',
    },
    {
      name: "no such file",
      process: { args: ["/bin/nope"] },
      code: "command-not-found",
      words: 'exec: "/bin/nope": stat /bin/nope: no such file',
    },
    {
      name: "a directory",
      process: { args: ["/etc"] },
      code: "command-not-executable",
      words: 'exec: "/etc": is a directory: permission denied',
    },
    {
      name: "no right to execute",
      process: { args: ["/etc/passwd"] },
      code: "command-not-executable",
      words: 'exec: "/etc/passwd": permission denied',
    },
  ] as const)("at exec: $name", async ({ process, code, words }) => {
    const input = world.container(process);
    const error = await errorOf(launch(input));
    expect(error.message).toContain(words);
    expect(error.code).toBe(code);
    expect(cgroupLeftovers(input.cgroupsPath)).toEqual([]);
  });

  test("at a mount names the source and the remedy, and leaves nothing", async () => {
    const mounts = [
      ...defaultMounts,
      { destination: "/x", source: "/nonexistent/source", options: ["rbind"] },
    ];
    const input = world.container(sh("true"), { config: { mounts } });
    const error = await errorOf(launch(input));
    expect(error.message).toMatch(
      /^bind mount \/nonexistent\/source on \/x.*: no such file or directory \(step \d+ of \d+\)$/,
    );
    expect(error.hint).toContain("/nonexistent/source");
    expect(cgroupLeftovers(input.cgroupsPath)).toEqual([]);
  });

  test("at a limit names the file", async () => {
    const input = world.container(sh("true"), { resources: { cpu: { cpus: "4000" } } });
    const error = await errorOf(launch(input));
    expect(error.message).toContain("cpuset.cpus");
    expect(cgroupLeftovers(input.cgroupsPath)).toEqual([]);
  });
});

describe("terminal and exec", () => {
  test("a terminal has a size, can be resized, and echoes", async () => {
    const input = world.container(sh("tty; stty size; read x; stty size; echo got $x", { terminal: true }));
    const { session } = await launch(input, { terminal: { rows: 30, cols: 100 } });
    const ran = collect(session);
    await Bun.sleep(300);
    session.resize(40, 120);
    await session.write(new TextEncoder().encode("word\n"));
    const { stdout, exited } = await ran;
    expect(stdout.replaceAll("\r", "")).toBe("/dev/pts/0\n30 100\nword\n40 120\ngot word\n");
    expect(exited?.exitCode).toBe(0);
  });

  test("exec runs in the container's namespaces and cgroup, with its limits", async () => {
    const input = world.container(sh("echo marker > /tmp/m; sleep 60 & wait"), {
      resources: { pids: { limit: 40 } },
    });
    const { control, started } = await launch(input);
    const process = {
      ...input.config.process,
      cwd: "/tmp",
      args: [
        "sh",
        "-c",
        "cat /tmp/m; hostname; cat /proc/self/cgroup | grep -c ':/$'; ps | grep -c sleep; exit 3",
      ],
    };
    await Bun.sleep(200);
    const { plan } = planExec({ process, target: started, containerConfig: input.config, cgroups });
    const { attached } = await runtime.launch({ plan, options: { noLogRelay: true }, attach: [allStreams] });
    const [session] = attached;
    if (session === undefined) throw new Error("no session");
    const { stdout, stderr, exited } = await collect(session);
    expect(stderr).toBe("");
    const [marker, host, roots, sleeps] = stdout.split("\n");
    expect([marker, host]).toEqual(["marker", "box"]);
    expect(Number(roots)).toBeGreaterThanOrEqual(1);
    expect(Number(sleeps)).toBeGreaterThanOrEqual(1);
    expect(exited?.exitCode).toBe(3);
    const missing = planExec({
      process: { cwd: "/", args: ["nope"], env: [] },
      target: started,
      containerConfig: input.config,
      cgroups,
    });
    expect((await errorOf(runtime.launch({ plan: missing.plan, options: {} }))).code).toBe(
      "command-not-found",
    );
    const stale = planExec({
      process: { cwd: "/", args: ["true"] },
      target: { pid: started.pid, startTime: "1" },
      containerConfig: input.config,
      cgroups,
    });
    expect((await errorOf(runtime.launch({ plan: stale.plan, options: {} }))).hint).toContain("not running");
    await control.signal(9);
    await control.exited;
  });
});

describe("the monitor", () => {
  test("outlives who started it, is found again, and says how it ended", async () => {
    const input = world.container(sh("read x; echo late $x; exit 9"));
    const socketPath = `${input.dir}/s`;
    const statusPath = `${input.dir}/status`;
    const first = await launch(input, { socketPath, statusPath, stdin: { once: false } });
    first.session.close();
    first.control.close();
    const control = await runtime.connect(socketPath);
    expect(control.started).toEqual(first.started);
    expect(readStatusFile(statusPath)).toEqual({ state: "running", started: first.started });
    const session = await runtime.attach(socketPath, allStreams);
    const ran = collect(session);
    await session.write(new TextEncoder().encode("again\n"));
    expect(await ran).toMatchObject({ stdout: "late again\n", exited: { exitCode: 9 } });
    expect(await control.exited).toMatchObject({ exitCode: 9, lostLogLines: 0 });
    expect(readStatusFile(statusPath)).toMatchObject({ state: "exited", exited: { exitCode: 9 } });
    expect((await errorOf(runtime.connect(socketPath))).code).toBe("unavailable");
  });

  test("a signal to a process that has ended is not-found or the monitor is gone", async () => {
    const { control } = await launch(world.container(sh("true")));
    await control.exited;
    expect(["not-found", "unavailable"]).toContain((await errorOf(control.signal(15))).code);
  });

  test("4 MB through a slow reader arrive whole, and the reader sets the pace", async () => {
    const { session } = await launch(world.container(sh("head -c 4000000 /dev/zero")));
    let bytes = 0;
    let pending = 0;
    let most = 0;
    await new Promise<void>((resolve) =>
      session.begin({
        onOutput: async (_stream, chunk) => {
          most = Math.max(most, ++pending);
          await Bun.sleep(1);
          pending--;
          bytes += chunk.length;
        },
        onEnd: () => resolve(),
      }),
    );
    expect(bytes).toBe(4_000_000);
    expect(most).toBe(1);
  });

  test("writes its log in CRI format", async () => {
    const input = world.container(sh("echo out; echo err >&2; printf tail"));
    const log = { path: `${input.dir}/log`, maxBytes: mib, maxFiles: 2 };
    const { control } = await launch(input, { log, noLogRelay: false });
    await control.exited;
    const lines = readFileSync(log.path, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => line.replace(/^\S+ /, ""))
      .sort();
    expect(lines).toEqual(["stderr F err", "stdout F out", "stdout P tail"]);
  });
});
