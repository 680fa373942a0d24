/** The C host of gantry-oci, each function of it, under address and undefined-behaviour checks. Root. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { constants, tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dir, "../..");
const program = join(root, "build/oci/host-test.asan");
const runtime = join(root, "build/oci/gantry-oci.asan");

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "gantry-oci-host-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const O_RDONLY = 0;
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_NONBLOCK = 0o4000;

interface Ran {
  readonly answers: readonly unknown[];
  readonly status: number;
  readonly stderr: string;
}

/** Longer than an argument may be. */
function callFile(calls: readonly (readonly unknown[])[]): string {
  const file = join(dir, "calls.json");
  writeFileSync(file, JSON.stringify(calls));
  return file;
}

function run(
  calls: readonly (readonly unknown[])[],
  options: { readonly env?: Record<string, string>; readonly stdin?: string; readonly cwd?: string } = {},
): Ran {
  const { stdout, stderr, exitCode } = Bun.spawnSync([program, callFile(calls)], {
    stdin: Buffer.from(options.stdin ?? ""),
    env: { ASAN_OPTIONS: "allocator_may_return_null=1", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const text = stdout.toString();
  expect(stderr.toString()).not.toContain("ERROR: AddressSanitizer");
  if (text === "") throw new Error(`${program} says nothing: ${stderr.toString()}`);
  return { answers: JSON.parse(text), status: exitCode, stderr: stderr.toString() };
}

/** The last answer. */
function answer(...calls: readonly (readonly unknown[])[]): unknown {
  return run(calls).answers.at(-1);
}

function thrown(...call: readonly unknown[]): unknown {
  const value = answer(call);
  return typeof value === "object" && value !== null && "thrown" in value ? value.thrown : value;
}

describe("text", () => {
  const samples = ["", "plain", "Grüße 世界 😀", "a\u0000b", "\ud800 alone"];
  test.each(samples)("UTF-8 of %j is as Bun's", (text) => {
    const bytes = [...new TextEncoder().encode(text)];
    expect(answer(["encode", text])).toEqual({ bytes });
    expect(answer(["decode", { bytes }])).toBe(new TextDecoder().decode(new Uint8Array(bytes)));
  });

  test.each([[[0xff]], [[0xc0, 0x80]], [[0xed, 0xa0, 0x80]], [[0xf4, 0x90, 0x80, 0x80]], [[0xe2, 0x82]]])(
    "bytes %j are no UTF-8",
    (bytes) => {
      expect(thrown("decodeFatal", { bytes })).toMatchObject({ name: "TypeError" });
      expect(String(answer(["decode", { bytes }]))).toContain("\ufffd");
    },
  );
});

describe("hostile input", () => {
  test("deeply nested JSON is an error", () => {
    expect(answer(["parseNested", 512])).toBe(true);
    for (const depth of [513, 100_000, 5_000_000])
      expect(thrown("parseNested", depth)).toMatchObject({
        name: "SyntaxError",
        message: "nested deeper than 512 levels",
      });
  });

  test.each(['{"a":1,}', "", "[1", '"\\u12"', "nul", "01", "{'a':1}", "[1]]"])(
    "JSON %j is refused",
    (text) => {
      expect(thrown("parse", text)).toMatchObject({ name: "SyntaxError" });
    },
  );

  test("brackets in strings do not nest", () => {
    expect(answer(["parse", JSON.stringify(["[".repeat(2000), '\\"[['])])).toEqual([
      "[".repeat(2000),
      '\\"[[',
    ]);
  });

  test("endless recursion and too much memory are errors", () => {
    expect(thrown("recurse")).toMatchObject({ message: "stack overflow" });
    expect(thrown("allocate", 2_000_000_000)).toMatchObject({ message: "out of memory" });
  });

  test("a config.json of nested arrays is an error of create, and nothing is left", () => {
    const bundle = mkdtempSync(join(dir, "nested-"));
    for (const text of [
      "[".repeat(100_000),
      `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
      '{"a":'.repeat(100_000),
    ]) {
      writeFileSync(join(bundle, "config.json"), text);
      const words = [runtime, "--root", join(dir, "state"), "create", "--bundle", bundle, "nested"];
      const { exitCode, stderr } = Bun.spawnSync(words);
      expect(exitCode).toBe(1);
      expect(stderr.toString()).toContain("config.json");
      expect(stderr.toString()).not.toContain("AddressSanitizer");
      expect(existsSync(join(dir, "state/nested"))).toBe(false);
    }
  });

  test.each([
    [["open", 5, 0, 0]],
    [["open", "/x\u0000y", 0, 0]],
    [["open", "/".repeat(5000), 0, 0]],
    [["read", "x", 1, 1]],
    [["read", 0, 1e12, 0]],
    [["read", 0, -1, 0]],
    [["close", 1e300]],
    [["spawn", {}]],
    [["spawn", { file: "/bin/true", argv: "x", fds: [] }]],
    [["spawn", { file: "/bin/true", argv: [1], fds: [] }]],
    [["spawn", { file: "/bin/true", argv: ["true"], fds: {} }]],
    [["run", [], { timeoutMs: 1, maxOutput: 1 }]],
    [["waitPid", -1, 0]],
    [["sendFds", 0, "x", Array.from({ length: 100 }, () => 0)]],
    [["setDeviceProgram", "/", { bytes: [1] }]],
    [["load", "nothing.js"]],
  ])("%j is refused", (call) => {
    expect(thrown(...call)).toMatchObject({ message: expect.any(String) });
  });
});

describe("files", () => {
  test("errors carry code, errno, syscall and path", () => {
    expect(thrown("readFile", "/nonexistent/x", 10)).toEqual({
      name: "Error",
      message: "ENOENT: no such file or directory, open '/nonexistent/x'",
      code: "ENOENT",
      errno: 2,
      syscall: "open",
      path: "/nonexistent/x",
    });
  });

  test("write, read, append, rename, links and removal", () => {
    const file = join(dir, "file");
    const calls = [
      ["replaceFile", file, "one", 0o640],
      ["open", file, O_RDWR, 0],
      ["read", { of: 1 }, 100, 1000],
      ["write", { of: 1 }, " two"],
      ["write", { of: 1 }, { bytes: [33, 10] }],
      ["writeSome", { of: 1 }, { bytes: [34] }],
      ["fstat", { of: 1 }],
      ["close", { of: 1 }],
      ["rename", file, `${file}2`],
      ["symlink", "file2", `${file}3`],
      ["readlink", `${file}3`],
      ["readFile", `${file}3`, 100],
      ["lstat", `${file}3`],
      ["realpath", `${file}3`],
      ["mkdir", join(dir, "d"), 0o700],
      ["mkfifo", join(dir, "d/fifo"), 0o600],
      ["readdir", join(dir, "d")],
      ["stat", join(dir, "d/fifo")],
      ["unlink", join(dir, "d/fifo")],
      ["rmdir", join(dir, "d")],
      ["access", join(dir, "d"), 0],
      ["unlink", `${file}3`],
      ["close", { of: 1 }],
    ];
    const { answers } = run(calls);
    expect(answers[2]).toEqual({ bytes: [...Buffer.from("one")] });
    expect(answers[5]).toBe(1);
    expect(answers[6]).toMatchObject({ kind: "file", mode: 0o100640, uid: 0, size: 10 });
    expect(answers[10]).toBe("file2");
    expect(answers[11]).toBe('one two!\n"');
    expect(answers[12]).toMatchObject({ kind: "symlink" });
    expect(answers[13]).toBe(`${file}2`);
    expect(answers[16]).toEqual(["fifo"]);
    expect(answers[17]).toMatchObject({ kind: "fifo" });
    expect(answers[20]).toBe(false);
    expect(answers[22]).toMatchObject({ thrown: { code: "EBADF" } });
    expect(existsSync(`${file}.tmp`)).toBe(false);
    expect(statSync(`${file}2`).mode & 0o777).toBe(0o640);
  });

  test("cgroups: directories go, however deep; one with something in it is busy, and all stays that is no directory", () => {
    const top = join(dir, "cgroups");
    for (const path of ["a/b/c", "a/d", `e/${"f/".repeat(300)}g`])
      mkdirSync(join(top, path), { recursive: true });
    mkdirSync(join(dir, "busy/one/two"), { recursive: true });
    writeFileSync(join(dir, "busy/one/two/file"), "");
    const { answers } = run([
      ["removeCgroup", top],
      ["removeCgroup", top],
      ["removeCgroup", join(dir, "busy")],
    ]);
    expect(answers[0]).toBeNull();
    expect(answers[1]).toMatchObject({ thrown: { code: "ENOENT" } });
    expect(answers[2]).toMatchObject({ thrown: { code: "EBUSY" } });
    expect(existsSync(join(dir, "busy/one/two/file"))).toBe(true);
  });

  test("a file that is too long, and a fifo that nobody writes to, hold nobody", () => {
    const file = join(dir, "long");
    writeFileSync(file, "x".repeat(20_000));
    expect(String(answer(["readFile", file, 20_000]))).toHaveLength(20_000);
    expect(thrown("readFile", file, 19_999)).toMatchObject({ code: "EFBIG" });
    expect(String(answer(["readSmall", file, 20_000]))).toHaveLength(20_000);
    expect(thrown("readSmall", file, 19_999)).toMatchObject({ code: "EFBIG" });
    expect(answer(["readSmall", "/proc/self/comm", 256])).toBe("host-test.asan\n");
    expect(answer(["ownerOf", file])).toBe(statSync(file).uid);
    expect(answer(["mkfifo", join(dir, "silent"), 0o600], ["readFile", join(dir, "silent"), 10])).toBe("");
    expect(thrown("readFile", dir, 10)).toMatchObject({ code: "EISDIR" });
    expect(answer(["fsType", "/proc"])).toBe(0x9fa0);
  });

  test("writeFile makes no file without O_CREAT", () => {
    const file = join(dir, "kernel");
    expect(thrown("writeFile", file, "x", 0, 0)).toMatchObject({ code: "ENOENT" });
    run([["writeFile", file, "x", O_CREAT, 0o600]]);
    expect(readFileSync(file, "utf8")).toBe("x");
  });

  test("a lock that another holds is waited for until the deadline", () => {
    const file = join(dir, "lock");
    const held = run([
      ["open", file, O_RDWR | O_CREAT, 0o600],
      ["open", file, O_RDWR, 0],
      ["lock", { of: 0 }, 0],
      ["monotonic"],
      ["lock", { of: 1 }, 50],
      ["monotonic"],
      ["close", { of: 0 }],
      ["lock", { of: 1 }, 50],
    ]).answers;
    expect([held[2], held[4], held[7]]).toEqual([true, false, true]);
    expect(Number(held[5]) - Number(held[3])).toBeGreaterThan(45);
  });

  test("where we are", () => {
    expect(run([["cwd"], ["chdir", "/proc"], ["cwd"]], { cwd: "/tmp" }).answers).toEqual([
      "/tmp",
      null,
      "/proc",
    ]);
    expect(run([["env"], ["args"]], { env: { A: "b" } }).answers[0]).toContain("A=b");
  });
});

describe("processes", () => {
  test("spawn, waitPid and the signals' codes", () => {
    const sleeper = { file: "/bin/sleep", argv: ["sleep", "100"], fds: [-1, -1, -1] };
    const { answers } = run([
      ["spawn", { file: "/bin/sh", argv: ["sh", "-c", "exit 7"], fds: [0, 1, 2] }],
      ["waitPid", { of: 0 }, 5000],
      ["spawn", sleeper],
      ["waitPid", { of: 2 }, 20],
      ["pidfdOpen", { of: 2 }],
      ["pidfdSignal", { of: 4 }, 9],
      ["poll", [{ of: 4 }], 5000],
      ["waitPid", { of: 2 }, 5000],
      ["waitPid", { of: 2 }, 5000],
      ["spawn", { ...sleeper, file: "/nonexistent" }],
      ["spawn", { ...sleeper, cwd: "/nonexistent" }],
      ["kill", { of: 2 }, 0],
    ]);
    expect(answers[1]).toBe(7);
    expect(answers[3]).toBe(null);
    expect(answers[6]).toEqual([0]);
    expect(answers[7]).toBe(128 + 9);
    expect(answers[8]).toMatchObject({ thrown: { code: "ECHILD" } });
    expect(answers[9]).toMatchObject({ thrown: { code: "ENOENT", path: "/nonexistent" } });
    expect(answers[10]).toMatchObject({ thrown: { code: "ENOENT", syscall: "chdir" } });
    expect(answers[11]).toMatchObject({ thrown: { code: "ESRCH" } });
  });

  test("a child has the fds that it was given and no others, and a fresh environment", () => {
    const script = "ls /proc/self/fd | tr '\\n' ' '; echo $A $HOME; pwd; cat <&3";
    const { answers } = run([
      ["replaceFile", join(dir, "third"), "third\n", 0o600],
      ["open", join(dir, "third"), O_RDONLY, 0],
      ["open", join(dir, "out"), O_RDWR | O_CREAT, 0o600],
      [
        "spawn",
        {
          file: "/bin/sh",
          argv: ["sh", "-c", script],
          env: ["A=b"],
          cwd: "/usr",
          fds: [-1, { of: 2 }, 2, { of: 1 }],
        },
      ],
      ["waitPid", { of: 3 }, 5000],
    ]);
    expect(answers[4]).toBe(0);
    expect(readFileSync(join(dir, "out"), "utf8")).toMatch(/^0 1 2 3 4 b\n\/usr\nthird\n$/);
  });

  test("gantry-init comes from a sealed memory file", () => {
    const { answers } = run([
      ["open", join(dir, "init"), O_RDWR | O_CREAT, 0o600],
      ["spawn", { file: "gantry-init", argv: ["gantry-init", "nonsense"], fds: [-1, { of: 0 }, { of: 0 }] }],
      ["waitPid", { of: 1 }, 5000],
    ]);
    expect(answers[2]).toBeGreaterThan(0);
    expect(readFileSync(join(dir, "init"), "utf8")).toContain("gantry-init");
  });

  test("run feeds, reads, limits and ends a program", () => {
    const options = { timeoutMs: 5000, maxOutput: 100_000 };
    const { answers } = run([
      ["run", ["cat"], { ...options, stdin: "x".repeat(90_000) }],
      ["run", ["sh", "-c", "echo out; echo err >&2; exit 3"], options],
      ["run", ["sh", "-c", "kill -9 $$"], options],
      ["run", ["sh", "-c", "yes | head -c 1000000; echo done >&2"], { ...options, maxOutput: 10 }],
      ["run", ["sleep", "100"], { ...options, timeoutMs: 50 }],
      ["run", ["sh", "-c", "sleep 3 & exit 0"], options],
      ["run", ["nonexistent-program"], options],
      ["run", ["true"], { ...options, stdin: "x".repeat(1_000_000) }],
      ["run", ["named", "-c", "echo $0"], { ...options, file: "/bin/sh" }],
    ]);
    expect(answers[0]).toMatchObject({ status: 0, stdout: "x".repeat(90_000) });
    expect(answers[1]).toEqual({ status: 3, signal: 0, timedOut: false, stdout: "out\n", stderr: "err\n" });
    expect(answers[2]).toMatchObject({ status: -1, signal: 9 });
    expect(answers[3]).toMatchObject({ status: 0, stdout: "y\ny\ny\ny\ny\n", stderr: "done\n" });
    expect(answers[4]).toMatchObject({ status: -1, signal: 9, timedOut: true });
    expect(answers[5]).toMatchObject({ status: 0, timedOut: false });
    expect(answers[6]).toMatchObject({ thrown: { code: "ENOENT" } });
    expect(answers[7]).toMatchObject({ status: 0 });
    expect(answers[8]).toMatchObject({ stdout: "named\n" });
  });

  test("exec replaces the process, and SIGPIPE ends what it starts", () => {
    const { exitCode, stdout } = Bun.spawnSync([
      program,
      callFile([["exec", "/bin/sh", ["sh", "-c", "grep SigIgn /proc/self/status; exit 9"], []]]),
    ]);
    expect(exitCode).toBe(9);
    // Signals that whoever runs the tests ignores are ignored here, too: this one alone is ours to reset.
    const ignored = BigInt(`0x${/SigIgn:\s+([0-9a-f]+)/.exec(stdout.toString())?.[1]}`);
    expect(ignored & (1n << BigInt(constants.signals.SIGPIPE - 1))).toBe(0n);
  });
});

describe("sockets and waiting", () => {
  test("fds pass through a socket pair", () => {
    writeFileSync(join(dir, "passed"), "passed");
    const { answers } = run([
      ["socketpair"],
      ["open", join(dir, "passed"), O_RDONLY, 0],
      ["receiveFd", { of: 0, at: "1" }, 20],
      ["sendFds", { of: 0, at: "0" }, "hello", [{ of: 1 }, { of: 1 }]],
      ["receiveFd", { of: 0, at: "1" }, 1000],
      ["read", { of: 4, at: "fd" }, 10, 1000],
      ["close", { of: 0, at: "0" }],
      ["receiveFd", { of: 0, at: "1" }, 1000],
      ["read", { of: 0, at: "1" }, 10, 1000],
    ]);
    expect(answers[2]).toBe(null);
    expect(answers[4]).toMatchObject({ data: "hello" });
    expect(answers[5]).toEqual({ bytes: [...Buffer.from("passed")] });
    expect(answers[7]).toEqual({ data: "", fd: -1 });
    expect(answers[8]).toEqual({ bytes: [] });
  });

  test("poll tells input from output, and waits no longer than asked", () => {
    const { answers } = run([
      ["socketpair"],
      ["poll", [{ of: 0, at: "0" }], 20],
      ["poll", [{ of: 0, at: "0" }], 20, [{ of: 0, at: "1" }]],
      ["write", { of: 0, at: "1" }, "x"],
      ["poll", [{ of: 0, at: "0" }], 1000],
      ["writable", { of: 0, at: "0" }, 0],
      ["setNonBlocking", { of: 0, at: "0" }],
      ["writeSome", { of: 0, at: "0" }, { bytes: Array.from({ length: 100_000 }, () => 0) }],
    ]);
    expect([answers[1], answers[2], answers[4], answers[5]]).toEqual([[], [1], [0], true]);
    expect(answers[7]).toBeGreaterThan(0);
  });

  test("unix sockets of any length of path", async () => {
    const long = join(dir, "a".repeat(60), "b".repeat(60));
    Bun.spawnSync(["mkdir", "-p", long]);
    const path = join(long, "s");
    const server = createServer((socket) => socket.end("served"));
    const { promise, resolve } = Promise.withResolvers<void>();
    process.chdir(long);
    server.listen("s", () => resolve());
    await promise;
    process.chdir(root);
    const child = Bun.spawn([
      program,
      callFile([
        ["connect", path],
        ["read", { of: 0 }, 10, 5000],
        ["connect", "/x"],
      ]),
    ]);
    const answers = JSON.parse(await new Response(child.stdout).text());
    server.close();
    expect(answers[1]).toEqual({ bytes: [...Buffer.from("served")] });
    expect(answers[2]).toMatchObject({ thrown: { code: "ENOENT", syscall: "connect" } });
    const datagram = join(long, "d");
    const sent = run([
      ["bindDatagram", datagram],
      ["connectDatagram", datagram],
      ["write", { of: 1 }, "ready"],
      ["read", { of: 0 }, 100, 1000],
    ]).answers;
    expect(sent[3]).toEqual({ bytes: [...Buffer.from("ready")] });
  });

  test("signals come through a file", () => {
    const { answers } = run([
      ["signalFd", [10, 12]],
      ["nextSignal", { of: 0 }],
      ["pid"],
      ["kill", { of: 2 }, 12],
      ["poll", [{ of: 0 }], 1000],
      ["nextSignal", { of: 0 }],
    ]);
    expect([answers[1], answers[4], answers[5]]).toEqual([0, [0], 12]);
  });

  test("a file that changes is told", () => {
    const file = join(dir, "watched");
    writeFileSync(file, "");
    const { answers } = run([
      ["watchFile", file],
      ["poll", [{ of: 0 }], 10],
      ["writeFile", file, "x", 0, 0],
      ["poll", [{ of: 0 }], 1000],
    ]);
    expect([answers[1], answers[3]]).toEqual([[], [0]]);
    expect(thrown("oomEvents", "/nonexistent/memory.oom_control")).toMatchObject({ code: "ENOENT" });
  });

  test("clocks", () => {
    const { answers } = run([["now"], ["monotonic"], ["sleep", 30], ["monotonic"]]);
    expect(Math.abs(Number(answers[0]) - Date.now())).toBeLessThan(60_000);
    expect(Number(answers[3]) - Number(answers[1])).toBeGreaterThan(29);
  });
});

describe("terminals", () => {
  test("what is no terminal", () => {
    expect(answer(["isTerminal", 0])).toBe(false);
    expect(thrown("windowSize", 0)).toMatchObject({ syscall: "TIOCGWINSZ" });
    expect(thrown("rawTerminal", 0)).toMatchObject({ syscall: "tcgetattr" });
  });

  test("raw mode lasts as long as the program", () => {
    const calls = callFile([
      ["isTerminal", 0],
      ["setWindowSize", 0, 33, 99],
      ["windowSize", 0],
      ["rawTerminal", 0],
    ]);
    const inner = `${program} ${calls} > ${dir}/answers; stty -a > ${dir}/after`;
    const { exitCode } = Bun.spawnSync(["script", "-qec", inner, "/dev/null"]);
    expect(exitCode).toBe(0);
    const answers = JSON.parse(readFileSync(join(dir, "answers"), "utf8"));
    expect(answers[0]).toBe(true);
    expect(answers[2]).toEqual({ rows: 33, cols: 99 });
    expect(readFileSync(join(dir, "after"), "utf8")).toMatch(/ icanon[\s\S]* echo /);
  });
});

test("closed standard fds do not become the container's files", () => {
  const calls = callFile([
    ["open", "/etc/hostname", O_RDONLY | O_NONBLOCK, 0],
    ["readlink", "/proc/self/fd/0"],
  ]);
  const inner = `exec 0<&- 2>&-; exec ${program} ${calls}`;
  const { stdout } = Bun.spawnSync(["sh", "-c", inner]);
  expect(JSON.parse(stdout.toString())).toEqual([expect.any(Number), "/dev/null"]);
  expect(JSON.parse(stdout.toString())[0]).toBeGreaterThan(2);
});

describe("the same program by other names", () => {
  const gantry = join(root, "dist/gantry");

  test("gantry oci, and gantry linked as gantry-oci, become it", () => {
    const link = join(dir, "gantry-oci");
    symlinkSync(gantry, link);
    const wanted = Bun.spawnSync([join(root, "dist/gantry-oci"), "features"]).stdout.toString();
    expect(wanted).toContain("ociVersionMax");
    for (const words of [
      [gantry, "oci", "features"],
      [link, "features"],
    ])
      expect(Bun.spawnSync(words).stdout.toString()).toBe(wanted);
  });

  test("exit codes and standard error are those of the program itself", () => {
    const { exitCode, stderr } = Bun.spawnSync([gantry, "oci", "nonsense"]);
    expect(exitCode).toBe(3);
    expect(stderr.toString()).toContain("nonsense");
    const closed = Bun.spawnSync(["sh", "-c", `${gantry} oci --help | head -n 1`]);
    expect(closed.stdout.toString()).toContain("NAME");
  });
});
