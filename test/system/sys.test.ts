/** Every function of the addon on the real kernel. Needs root and busybox. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join, resolve } from "node:path";

import { cloneFlags, loadSys } from "../../src/kernel/index.ts";

const sys = loadSys();
const dir = mkdtempSync("/tmp/gantry-sys-test-");
const busybox = sys.memfd("busybox", readFileSync("/bin/busybox"));
const wanted = { file: busybox, env: [], fds: [-1, -1, -1] } as const;

afterAll(() => {
  sys.close(busybox);
  rmSync(dir, { recursive: true });
});

function openFds(): readonly string[] {
  return readdirSync("/proc/self/fd");
}

/** Does what is written to the terminal get carriage returns: "opost" or "-opost". */
function outputMode(terminal: number): string | undefined {
  const { stdout } = Bun.spawnSync(["stty", "-a"], { stdin: terminal });
  return /-?opost/.exec(stdout.toString())?.[0];
}

function code(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
  return "no error";
}
interface Ran {
  readonly status: number | undefined;
  readonly out: string;
}

/** Runs a busybox program by `spawn` and gives what it writes. */
function run(argv: readonly string[], fds: readonly number[] = [], env: readonly string[] = []): Ran {
  const path = join(dir, "out");
  const out = openSync(path, "w+");
  const { status } = sys.spawn({
    file: busybox,
    argv: ["busybox", ...argv],
    env,
    fds: [-1, out, out, ...fds],
    wait: true,
  });
  closeSync(out);
  return { status, out: readFileSync(path, "utf8") };
}
function shell(script: string, fds: readonly number[] = [], env: readonly string[] = []): Ran {
  return run(["sh", "-c", script], fds, env);
}

describe("spawn", () => {
  test("exit status, arguments and environment", () => {
    expect(shell('echo "$A $0"; exit 7', [], ["A=b"])).toEqual({ status: 7, out: "b sh\n" });
    expect(shell("kill -9 $$").status).toBe(137);
  });

  test("the child has the given fds, at their places, and no other", () => {
    const extra = openSync("/etc/hostname", "r");
    const { out } = shell("for f in /proc/self/fd/*; do echo ${f##*/} $(busybox readlink $f); done", [], []);
    expect(out.match(/^[0-9]+ /gm)?.length).toBeLessThanOrEqual(4);
    const listed = shell(
      "busybox ls -l /proc/$$/fd | busybox sed -n 's/.* \\([0-9]*\\) -> \\(.*\\)/\\1 \\2/p'",
      [extra, -1, extra],
      ["PATH=/bin"],
    ).out;
    expect(listed).toContain("0 /dev/null\n");
    expect(listed).toContain("3 /etc/hostname\n4 /dev/null\n5 /etc/hostname\n");
    expect(listed.split("\n").filter((line) => /^\d+ \//.test(line)).length).toBeLessThanOrEqual(7);
    closeSync(extra);
  });

  test("fds that trade places are not overwritten", () => {
    const [a, b] = ["a", "b"].map((name) => {
      writeFileSync(join(dir, name), name);
      return openSync(join(dir, name), "r");
    });
    // As the child's 3 and 4 and reversed: whatever numbers they have here.
    expect(shell("cat <&3; cat <&4", [b ?? 0, a ?? 0], ["PATH=/bin:/usr/bin"]).out).toBe("ba");
    closeSync(a ?? 0);
    closeSync(b ?? 0);
  });

  test("signals are at their defaults and none is blocked", () => {
    process.on("SIGUSR2", () => undefined);
    const { out } = run(["grep", "Sig", "/proc/self/status"]);
    expect(out).toContain("SigBlk:\t0000000000000000");
    expect(out).toContain("SigIgn:\t0000000000000000");
    process.removeAllListeners("SIGUSR2");
  });

  test("what cannot be executed is said here; nothing is left behind", () => {
    const text = openSync("/etc/passwd", "r");
    const before = openFds().length;
    for (let i = 0; i < 200; i++)
      expect(code(() => sys.spawn({ ...wanted, file: text, argv: ["x"], wait: false }))).toBe("EACCES");
    expect(code(() => sys.spawn({ ...wanted, file: 9999, argv: ["x"], wait: false }))).toBe("EBADF");
    expect(code(() => sys.spawn({ ...wanted, fds: [9999], argv: ["x"], wait: false }))).toBe("EBADF");
    expect(code(() => sys.spawn({ ...wanted, argv: ["a\0b"], wait: false }))).toBe("EINVAL");
    expect(openFds().length).toBe(before);
    closeSync(text);
  });

  test("200 spawns leave no fd", () => {
    const before = openFds().length;
    for (let i = 0; i < 200; i++) sys.spawn({ ...wanted, argv: ["busybox", "true"], wait: true });
    expect(openFds().length).toBe(before);
  });
});

describe("processes", () => {
  test("500 waits need one thread, and every one ends", async () => {
    const fds = openFds().length;
    const pids = Array.from(
      { length: 500 },
      () => sys.spawn({ ...wanted, argv: ["busybox", "sleep", "60"], wait: false }).pid,
    );
    const handles = pids.map((pid) => sys.pidfdOpen(pid));
    const waits = handles.map((handle) => sys.pidfdWait(handle));
    // Bun's own threads come and go; 500 would be seen.
    expect(readdirSync("/proc/self/task").length).toBeLessThan(40);
    expect(sys.reap(pids[0] ?? 0)).toBeUndefined();
    for (const handle of handles) {
      sys.pidfdSignal(handle, 15);
      sys.close(handle);
    }
    await Promise.all(waits);
    expect(new Set(pids.map((pid) => sys.reap(pid)))).toEqual(new Set([143]));
    expect(code(() => sys.reap(pids[0] ?? 0))).toBe("ECHILD");
    // The one thread has its epoll and its eventfd.
    expect(openFds().length).toBeLessThanOrEqual(fds + 2);
  }, 20_000);

  test("a process that has ended already", async () => {
    const { pid } = sys.spawn({ ...wanted, argv: ["busybox", "true"], wait: false });
    const handle = sys.pidfdOpen(pid);
    await sys.pidfdWait(handle);
    await sys.pidfdWait(handle);
    expect(sys.reap(pid)).toBe(0);
    await sys.pidfdWait(handle);
    expect(code(() => sys.pidfdSignal(handle, 15))).toBe("ESRCH");
    sys.close(handle);
    expect(code(() => sys.pidfdOpen(pid))).toBe("ESRCH");
  });

  test("mistakes", () => {
    expect(code(() => sys.pidfdWait(openSync("/etc/hostname", "r")))).toBe("EPERM");
    expect(code(() => sys.pidfdWait(9999))).toBe("EBADF");
    expect(code(() => sys.reap(0))).toBe("EINVAL");
    expect(code(() => sys.reap(-1))).toBe("EINVAL");
  });

  test("a program with nothing left to wait for ends; one that waits for a process goes on until its end", () => {
    const script = (body: string): string => `
      import { loadSys } from ${JSON.stringify(join(import.meta.dir, "../../src/kernel/index.ts"))};
      const sys = loadSys();
      const child = Bun.spawn(["sleep", "0.3"]); child.unref();
      ${body}`;
    const runProgram = (body: string): string => {
      const path = join(dir, "program.ts");
      writeFileSync(path, script(body));
      return Bun.spawnSync([process.execPath, path], { timeout: 10_000 }).stdout.toString();
    };
    expect(runProgram("sys.pidfdWait(sys.pidfdOpen(child.pid)).then(() => console.log('ended'));")).toBe(
      "ended\n",
    );
    expect(runProgram("await sys.pidfdWait(sys.pidfdOpen(child.pid)); console.log('once');")).toBe("once\n");
  });

  test("memory files are sealed", () => {
    const fd = sys.memfd("sealed", new TextEncoder().encode("x"));
    expect(readlinkSync(`/proc/self/fd/${fd}`)).toContain("memfd:sealed");
    expect(code(() => writeSync(fd, "y"))).toBe("EPERM");
    expect(code(() => writeFileSync(`/proc/self/fd/${fd}`, "y"))).toBe("EPERM");
    sys.close(fd);
    expect(code(() => sys.close(fd))).toBe("EBADF");
  });

  test("limits and subreaper", () => {
    expect(sys.raiseFileLimit()).toBeGreaterThan(1000);
    sys.setChildSubreaper(true);
    sys.setChildSubreaper(false);
  });

  test("rights are given up for good, also those that an exec would bring back", () => {
    const script = `
      const { loadSys } = require(${JSON.stringify(resolve(import.meta.dir, "../../src/kernel/index.ts"))});
      loadSys().limitRights(1n << 1n);
      const status = require("fs").readFileSync("/proc/thread-self/status", "utf8");
      console.log(status.match(/^(Cap(Inh|Prm|Eff|Bnd)|NoNewPrivs):.*$/gm).join(" ").replace(/\\s+/g, " "));
      let refused = "";
      try { loadSys().mknod("/tmp/gantry-no-node", 0o020600, 1, 3); } catch (error) { refused = error.code; }
      console.log(refused);`;
    const only = "0000000000000002";
    const done = Bun.spawnSync([process.execPath, "-e", script]);
    expect(done.stdout.toString()).toBe(
      `CapInh: ${"0".repeat(16)} CapPrm: ${only} CapEff: ${only} CapBnd: ${only} NoNewPrivs: 1\nEPERM\n`,
    );
  });

  test("a name may be given as bytes, which need not be text", () => {
    const directory = mkdtempSync("/tmp/gantry-sys-");
    const name = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xe9, 0xff])]);
    sys.mknod(name, 0o010600, 0, 0);
    sys.setTimes(name, 0n, 7_000_000_000n);
    expect(lstatSync(name).mtimeMs).toBe(7000);
    expect(sys.listXattrs(name)).toEqual([]);
    expect(code(() => sys.setTimes(Buffer.from("a\0b"), 0n, 0n))).toBe("EINVAL");
    expect(code(() => sys.setTimes(Buffer.alloc(4096, 97), 0n, 0n))).toBe("ENAMETOOLONG");
    rmSync(directory, { recursive: true });
  });
});

describe("sockets", () => {
  test("fds travel, credentials are seen, the end of the stream is empty", () => {
    const [a, b] = sys.socketpair();
    const file = openSync("/etc/hostname", "r");
    sys.sendFds(b, [file, 0]);
    const [copy = -1, other = -1] = sys.receiveFds(a, 4);
    const text = Buffer.alloc(256);
    readSync(copy, text);
    expect(text.toString()).toContain(readFileSync("/etc/hostname", "utf8").trim());
    expect(sys.peerCredentials(a)).toEqual({ pid: process.pid, uid: 0, gid: 0 });
    expect(code(() => sys.receiveFds(a, 4))).toBe("EAGAIN");
    const before = openFds().length;
    sys.sendFds(b, [file, file, file]);
    expect(code(() => sys.receiveFds(a, 2))).toBe("EMSGSIZE");
    expect(openFds().length).toBe(before);
    sys.close(b);
    expect(sys.receiveFds(a, 4)).toEqual([]);
    for (const fd of [a, file, copy, other]) sys.close(fd);
    expect(code(() => sys.sendFds(a, []))).toBe("EINVAL");
  });

  test.each(["tcp", "udp"] as const)("a %s port is held against everybody", (protocol) => {
    const { fd, port } = sys.bindPort(protocol, "127.0.0.1", 0);
    expect(port).toBeGreaterThan(0);
    expect(code(() => sys.bindPort(protocol, "127.0.0.1", port))).toBe("EADDRINUSE");
    expect(code(() => sys.bindPort(protocol, "0.0.0.0", port))).toBe("EADDRINUSE");
    sys.close(fd);
    sys.close(sys.bindPort(protocol, "127.0.0.1", port).fd);
    expect(code(() => sys.bindPort(protocol, "203.0.113.9", 0))).toBe("EADDRNOTAVAIL");
    expect(code(() => sys.bindPort(protocol, "localhost", 0))).toBe("EINVAL");
    expect(code(() => sys.bindPort(protocol, "127.0.0.1", 65536))).toBe("EINVAL");
  });

  test("interfaces and terminals", () => {
    expect(sys.ifNameToIndex("lo")).toBe(1);
    expect(sys.ifNameToIndex("absent0")).toBe(0);
    const terminal = openSync("/dev/ptmx", "r+");
    sys.setWindowSize(terminal, 33, 111);
    expect(sys.windowSize(terminal)).toEqual({ rows: 33, cols: 111 });
    expect(code(() => sys.setWindowSize(terminal, 70_000, 1))).toBe("EINVAL");
    expect(outputMode(terminal)).toBe("opost");
    sys.passOutput(terminal);
    expect(outputMode(terminal)).toBe("-opost");
    closeSync(terminal);
    expect(code(() => sys.windowSize(busybox))).toBe("ENOTTY");
    expect(code(() => sys.passOutput(busybox))).toBe("ENOTTY");
    const copy = sys.dup(busybox);
    expect(readlinkSync(`/proc/self/fd/${copy}`)).toBe(readlinkSync(`/proc/self/fd/${busybox}`));
    sys.close(copy);
  });
});

describe("files", () => {
  const path = (name: string): string => join(dir, name);

  test("extended attributes, of links not followed", () => {
    writeFileSync(path("x"), "");
    sys.setXattr(path("x"), "user.a", Uint8Array.of(1, 0, 2));
    sys.setXattr(path("x"), "user.b", new Uint8Array());
    expect(sys.listXattrs(path("x")).sort()).toEqual(["user.a", "user.b"]);
    expect(sys.getXattr(path("x"), "user.a")).toEqual(Uint8Array.of(1, 0, 2));
    expect(sys.getXattr(path("x"), "user.b")).toHaveLength(0);
    expect(code(() => sys.getXattr(path("x"), "user.c"))).toBe("ENODATA");
    symlinkSync("x", path("link"));
    expect(sys.listXattrs(path("link"))).toEqual([]);
    sys.setXattr(path("link"), "trusted.t", Uint8Array.of(9));
    expect(sys.listXattrs(path("x"))).not.toContain("trusted.t");
    expect(sys.listXattrs("/proc/self/status")).toEqual([]);
  });

  test("times to the nanosecond, also before 1970, of links themselves", () => {
    symlinkSync("nowhere", path("dangling"));
    for (const time of [1_234_567_890_123_456_789n, 0n, -1n, -1_500_000_000n]) {
      sys.setTimes(path("dangling"), 5n, time);
      expect(lstatSync(path("dangling"), { bigint: true }).mtimeNs).toBe(time);
    }
  });

  test("a lock is one process's", () => {
    const [one, two] = [openSync(path("lock"), "w"), openSync(path("lock"), "w")];
    expect([sys.tryLock(one), sys.tryLock(two)]).toEqual([true, false]);
    closeSync(one);
    expect(sys.tryLock(two)).toBe(true);
    sys.syncfs(two);
    closeSync(two);
  });

  test("renames that do not replace, and exchanges", () => {
    writeFileSync(path("from"), "1");
    writeFileSync(path("to"), "2");
    expect(code(() => sys.rename2(path("from"), path("to"), 1))).toBe("EEXIST");
    sys.rename2(path("from"), path("to"), 2);
    expect(readFileSync(path("from"), "utf8")).toBe("2");
    sys.rename2(path("from"), path("new"), 1);
    expect(existsSync(path("from"))).toBe(false);
  });

  test("nodes and file systems", () => {
    sys.mknod(path("null"), 0o020600, 1, 3);
    expect(lstatSync(path("null")).rdev).toBe(lstatSync("/dev/null").rdev);
    const { totalBytes, freeBytes } = sys.statfs(dir);
    expect(totalBytes).toBeGreaterThan(freeBytes);
    expect(sys.statfs("/proc").type).toBe(0x9fa0);
    expect(code(() => sys.statfs(path("absent")))).toBe("ENOENT");
  });

  test("arguments of the wrong kind or size are refused before the kernel sees them", () => {
    const wrong = sys as unknown as Record<string, (...values: readonly unknown[]) => unknown>;
    for (const [name, values] of [
      ["close", ["1"]],
      ["close", []],
      ["close", [1.5]],
      ["close", [2 ** 40]],
      ["statfs", [7]],
      ["memfd", ["x", "bytes"]],
      ["memfd", ["x", new Uint16Array(2)]],
      ["setTimes", ["x", 1, 2]],
      ["setTimes", ["x", 1n, 2n ** 70n]],
      ["spawn", [{}]],
      ["spawn", [{ ...wanted, argv: [1], wait: true }]],
      ["spawn", [{ ...wanted, argv: "x", wait: true }]],
    ] as const) {
      expect([name, code(() => wrong[name]?.(...values))]).toEqual([name, "ERR_INVALID_ARG_TYPE"]);
    }
    expect(code(() => sys.statfs("a\0b"))).toBe("EINVAL");
    expect(code(() => sys.statfs("a".repeat(5000)))).toBe("ENAMETOOLONG");
  });
});

test("a confined child: its own mounts, its own root", () => {
  const root = join(dir, "root");
  mkdirSync(root);
  const program = `
    import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
    import { loadSys } from ${JSON.stringify(join(import.meta.dir, "../../src/kernel/index.ts"))};
    const sys = loadSys();
    sys.unshare(${cloneFlags.CLONE_NEWNS});
    sys.mount("", "/", "", 0x44000, "");
    sys.mount("tmpfs", ${JSON.stringify(root)}, "tmpfs", 0, "size=1m");
    mkdirSync(${JSON.stringify(join(root, "sub"))});
    sys.mount("tmpfs", ${JSON.stringify(join(root, "sub"))}, "tmpfs", 0, "");
    sys.umount(${JSON.stringify(join(root, "sub"))}, 2);
    sys.chroot(${JSON.stringify(root)});
    writeFileSync("/inside", "x");
    console.log(JSON.stringify([readdirSync("/").sort(), readdirSync("/..").sort()]));
    try { sys.umount("/sub", 0) } catch (error) { console.log(error.code) }`;
  const path = join(dir, "confined.ts");
  writeFileSync(path, program);
  const done = Bun.spawnSync([process.execPath, path]);
  expect(done.stderr.toString()).toBe("");
  expect(done.stdout.toString()).toBe('[["inside","sub"],["inside","sub"]]\nEINVAL\n');
  expect(readdirSync(root)).toEqual([]);
});

test("fs-verity: guarded from then on, or said that there is none", () => {
  const path = join(dir, "guarded");
  writeFileSync(path, "guarded");
  const fd = openSync(path, "r");
  let refused: unknown;
  try {
    sys.enableVerity(fd);
  } catch (error) {
    refused = error;
  }
  closeSync(fd);
  if (refused === undefined) expect(() => writeFileSync(path, "other")).toThrow(/EPERM/);
  else expect(refused).toMatchObject({ code: expect.stringMatching(/^(EOPNOTSUPP|ENOTTY)$/) });
});
