/** gantry-init on the real kernel: the life of a container, streams, clients. Needs root and busybox-static. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

import { cloneFlags } from "../../src/kernel/index.ts";
import { Channel } from "../../src/runtime/channel.ts";
import { encodeFrame, frameType, helloFrame, resizeFrame, signalFrame } from "../../src/runtime/frames.ts";
import type { ContainerStep, Plan } from "../../src/runtime/plan-step.ts";
import {
  all,
  container,
  containerFlags,
  isAlive,
  launch,
  monitorTitled,
  noSanitizerReports,
  Sandbox,
  Talk,
} from "./native-harness.ts";

const endOfStdin = encodeFrame(frameType.stdin);
const stdin = (text: string): Uint8Array => encodeFrame(frameType.stdin, new TextEncoder().encode(text));
const status = (box: Sandbox): string => readFileSync(box.path("status"), "utf8");

afterAll(noSanitizerReports);

describe.each(["plain", "asan"] as const)("monitor (%s)", (program) => {
  test.each([
    { name: "exit code", script: "exit 3", code: 3, signal: 0 },
    { name: "zero", script: "true", code: 0, signal: 0 },
    {
      name: "a grandchild's signal",
      script: "(sleep 9 & kill -9 $! ; wait $!; exit $?) 2>/dev/null",
      code: 137,
      signal: 0,
    },
  ])("reports $name, streams and status file", async ({ script, code, signal }) => {
    using box = new Sandbox();
    const plan = container(box, ["sh", "-c", `echo out $$; echo err >&2; ${script}`]);
    const { control, attached } = await launch(plan, {
      program,
      attach: [all],
      options: { statusPath: box.path("status") },
    });
    const started = await control.started();
    const exited = await control.exited();
    const [client] = attached;
    expect(await client?.exited()).toEqual(exited);
    await client?.closed();
    expect(client?.output(1)).toBe("out 1\n");
    expect(client?.output(2)).toBe("err\n");
    expect(exited).toMatchObject({ exitCode: code, signal, oomKilled: false, lostLogLines: 0 });
    expect(Math.abs(exited.atMs - Date.now())).toBeLessThan(10_000);
    expect(status(box)).toMatch(new RegExp(`^exited ${code} ${signal} 0 \\d+ 0\\n$`));
    await control.closed();
    expect(isAlive(started.pid)).toBe(false);
  });

  test("SIGNAL reaches the process; its answer comes; a dead one's status is 128 + signal", async () => {
    using box = new Sandbox();
    const options = {
      socketPath: box.path("socket"),
      statusPath: box.path("status"),
      processTitle: `gantry-test ${box.dir}`,
    };
    const { control } = await launch(container(box, ["sleep", "60"]), { program, options });
    const started = await control.started();
    expect(status(box)).toBe(`running ${started.pid} ${started.startTime} ${started.monitorPid}\n`);
    expect(monitorTitled(box.dir)).toBe(started.monitorPid);
    await control.channel.write(signalFrame(0));
    await control.until(() => control.frames.find((frame) => frame.type === "signal-result"), "the answer");
    await control.channel.write(signalFrame(9));
    expect(await control.exited()).toMatchObject({ exitCode: 137, signal: 9 });
    await control.closed();
    expect(existsSync(options.socketPath)).toBe(false);
  });

  test("stdinOnce: the end of the client's stdin is the end of the container's", async () => {
    using box = new Sandbox();
    const options = { socketPath: box.path("socket"), stdin: { once: true } };
    const { control, attached } = await launch(container(box, ["cat"]), { program, options, attach: [all] });
    const text = "x".repeat(50_000);
    for (let i = 0; i < 8; i++) await attached[0]?.channel.write(stdin(text));
    await attached[0]?.channel.write(endOfStdin);
    expect((await control.exited()).exitCode).toBe(0);
    await attached[0]?.exited();
    expect(attached[0]?.output(1).length).toBe(400_000);
  });

  test("stdinOnce: the client's going ends stdin too", async () => {
    using box = new Sandbox();
    const options = { socketPath: box.path("socket"), stdin: { once: true } };
    const { control, attached } = await launch(container(box, ["cat"]), { program, options, attach: [all] });
    await control.started();
    attached[0]?.channel.close();
    expect((await control.exited()).exitCode).toBe(0);
  });

  test("stdin that is kept outlives a client and is closed by CLOSE-STDIN", async () => {
    using box = new Sandbox();
    const options = { socketPath: box.path("socket"), stdin: { once: false } };
    const { control, attached } = await launch(container(box, ["cat"]), { program, options, attach: [all] });
    await control.started();
    await attached[0]?.channel.write(stdin("one\n"));
    await attached[0]?.channel.write(endOfStdin);
    await attached[0]?.sees("one\n");
    const second = new Talk(await Channel.connect(options.socketPath));
    await second.channel.write(helloFrame(all, true));
    await second.started();
    await second.channel.write(stdin("two\n"));
    await second.sees("two\n");
    await control.channel.write(encodeFrame(frameType.closeStdin));
    expect((await control.exited()).exitCode).toBe(0);
  });

  test("without openStdin it is /dev/null; no fd but 0..2 is open", async () => {
    using box = new Sandbox();
    const { control, attached } = await launch(
      container(box, ["sh", "-c", "cat; ls /proc/1/fd; readlink /proc/1/fd/0"]),
      { program, attach: [all] },
    );
    await control.exited();
    await attached[0]?.exited();
    // The shell reads a script from its arguments: it opens nothing itself.
    expect(attached[0]?.output(1)).toBe("0\n1\n2\n/dev/null\n");
  });

  test("a terminal: size, resize, input, one stream", async () => {
    using box = new Sandbox();
    const options = {
      socketPath: box.path("socket"),
      terminal: { rows: 30, cols: 90 },
      stdin: { once: true },
    };
    const late: ContainerStep[] = [{ do: "console", bindDevConsole: true }];
    const script =
      "tty; stty size; read line; echo got $line >&2; stty size; ls -l /dev/console | head -c 1; exit 4";
    const { control, attached } = await launch(container(box, ["sh", "-c", script], { late }), {
      program,
      options,
      attach: [all],
    });
    const [client] = attached;
    await client?.sees("30 90");
    await control.channel.write(resizeFrame(40, 100));
    await client?.channel.write(stdin("hello\r"));
    expect((await control.exited()).exitCode).toBe(4);
    await attached[0]?.exited();
    expect(client?.output(1)).toBe("/dev/pts/0\r\n30 90\r\nhello\r\ngot hello\r\n40 100\r\nc");
    expect(client?.output(2)).toBe("");
  });

  // The sanitizer build is dynamic: inside the container its libraries are missing.
  test.skipIf(program === "asan")("a terminal hangs up: SIGINT by ^C, 128 + 2", async () => {
    using box = new Sandbox();
    const options = {
      socketPath: box.path("socket"),
      terminal: { rows: 24, cols: 80 },
      stdin: { once: true },
    };
    const late: ContainerStep[] = [{ do: "console", bindDevConsole: false }];
    const plan = container(box, ["sh", "-c", "sleep 50"], { late, useInit: true });
    const { control, attached } = await launch(plan, { program, options, attach: [all] });
    await control.started();
    await Bun.sleep(100);
    await attached[0]?.channel.write(stdin("\x03"));
    expect((await control.exited()).exitCode).toBe(130);
  });

  test("output waits for a slow client, and nothing is lost", async () => {
    using box = new Sandbox();
    const plan = container(box, ["sh", "-c", "head -c 3000000 /dev/zero; echo end"], { late: [zeroDevice] });
    const { control, attached } = await launch(plan, { program, attach: [all] });
    const release = attached[0]?.hold();
    const { pid } = await control.started();
    await Bun.sleep(400);
    // Still writing: the pipe is full, the client's buffer too.
    expect(isAlive(pid)).toBe(true);
    release?.();
    expect((await control.exited()).exitCode).toBe(0);
    await attached[0]?.exited();
    expect(attached[0]?.output(1).length).toBe(3_000_004);
  });

  test("SIGKILL of the starter changes nothing: the container goes on, is found again, and is reaped", async () => {
    using box = new Sandbox();
    const options = {
      socketPath: box.path("socket"),
      statusPath: box.path("status"),
      stdin: { once: false },
    };
    const { control } = await launch(container(box, ["sh", "-c", "read line; exit 7"]), { program, options });
    const started = await control.started();
    control.channel.close();
    const later = new Talk(await Channel.connect(options.socketPath));
    await later.channel.write(helloFrame(undefined, true));
    expect(await later.started()).toEqual(started);
    const client = new Talk(await Channel.connect(options.socketPath));
    await client.channel.write(helloFrame({ stdin: true, stdout: false, stderr: false }, false));
    await client.channel.write(stdin("x\n"));
    expect((await later.exited()).exitCode).toBe(7);
    expect(status(box)).toMatch(/^exited 7 0 /);
  });

  test("exec joins a running container and ends with it", async () => {
    using box = new Sandbox();
    const first = await launch(
      container(box, ["sleep", "60"], { late: [{ do: "hostname", name: "inside" }] }),
      { program },
    );
    const { pid, startTime } = await first.control.started();
    const exec = (argv: string[], start = startTime): Plan => ({
      monitor: [{ do: "clone", flags: 0n }],
      container: [
        { do: "join-namespaces", pid, startTime: BigInt(start), flags: containerFlags },
        { do: "wait-parent" },
        { do: "chdir", path: "/work", make: false },
        { do: "exec", argv, env: ["PATH=/bin"], useInit: false },
      ],
      teardown: [],
    });
    const one = await launch(exec(["sh", "-c", "hostname; pwd; ps | head -2 | tail -1; cat"]), {
      program,
      attach: [all],
      options: { stdin: { once: true } },
    });
    const started = await one.control.started();
    await one.attached[0]?.channel.write(stdin("typed"));
    await one.attached[0]?.channel.write(endOfStdin);
    expect((await one.control.exited()).exitCode).toBe(0);
    await one.attached[0]?.exited();
    expect(started.pid).not.toBe(pid);
    expect(one.attached[0]?.output(1)).toMatch(/^inside\n\/work\n +1 .*sleep 60\ntyped$/);
    const stale = await launch(exec(["true"], String(BigInt(startTime) + 1n)), { program });
    expect(await stale.control.failed()).toMatchObject({ index: 1, errno: 3 });
    const lasting = await launch(exec(["sleep", "60"]), { program });
    await lasting.control.started();
    await first.control.channel.write(signalFrame(9));
    expect((await first.control.exited()).exitCode).toBe(137);
    expect(await lasting.control.exited()).toMatchObject({ exitCode: 137, signal: 9 });
  });

  test("what a background process holds is not waited for", async () => {
    using box = new Sandbox();
    const flags = containerFlags & ~cloneFlags.CLONE_NEWPID;
    const plan = container(box, ["sh", "-c", "sleep 3 & echo done"], { flags });
    const { control, attached } = await launch(plan, { program, attach: [all] });
    await control.started();
    const before = performance.now();
    await control.exited();
    await attached[0]?.exited();
    expect(performance.now() - before).toBeLessThan(1000);
    expect(attached[0]?.output(1)).toBe("done\n");
  });

  test.skipIf(program === "asan")("useInit reaps orphans and hands signals on", async () => {
    using box = new Sandbox();
    const script = "trap 'echo term; exit 5' TERM; (sleep 0.05 & ) ; echo ready; while :; do sleep 0.1; done";
    const { control, attached } = await launch(container(box, ["sh", "-c", script], { useInit: true }), {
      program,
      attach: [all],
    });
    await attached[0]?.sees("ready");
    const { pid } = await control.started();
    expect(readFileSync(`/proc/${pid}/comm`, "utf8")).toBe("gantry-init\n");
    await control.channel.write(signalFrame(15));
    expect((await control.exited()).exitCode).toBe(5);
    await attached[0]?.exited();
    expect(attached[0]?.output(1)).toBe("ready\nterm\n");
  });

  test("the monitor's death during setup takes the child along", async () => {
    using box = new Sandbox();
    Bun.spawnSync(["/bin/busybox", "mkfifo", box.path("fifo")]);
    const plan = container(box, ["sleep", "60"], {
      monitor: [{ do: "write-file", path: box.path("fifo"), data: "x" }],
    });
    const title = `gantry-test ${box.dir}`;
    const { control } = await launch(plan, { program, options: { processTitle: title } });
    let children: number[] = [];
    let monitor: number | undefined;
    for (let i = 0; i < 100 && children.length === 0; i++) {
      await Bun.sleep(10);
      monitor = monitorTitled(box.dir);
      if (monitor !== undefined)
        children = readFileSync(`/proc/${monitor}/task/${monitor}/children`, "utf8")
          .trim()
          .split(" ")
          .filter(Boolean)
          .map(Number);
    }
    if (monitor === undefined) throw new Error("no monitor");
    expect(children.length).toBe(1);
    process.kill(monitor, "SIGKILL");
    await control.closed();
    await Bun.sleep(50);
    expect(isAlive(children[0] ?? 0)).toBe(false);
  });

  test("an OOM kill is told", async () => {
    using box = new Sandbox();
    const cgroup = `/sys/fs/cgroup/memory/gantry-native-${process.pid}-${program}`;
    const plan = container(box, ["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"], {
      late: [zeroDevice],
      before: [
        { do: "make-dir", path: cgroup, mode: 0o755, parents: true },
        { do: "write-file", path: `${cgroup}/memory.limit_in_bytes`, data: "16777216" },
      ],
      monitor: [{ do: "join-cgroup", dir: cgroup }],
      teardown: [{ do: "remove-cgroup", dir: cgroup }],
    });
    const { control } = await launch(plan, { program, options: { oomPath: `${cgroup}/memory.oom_control` } });
    expect(await control.exited()).toMatchObject({ exitCode: 137, signal: 9, oomKilled: true });
    expect(existsSync(cgroup)).toBe(false);
  });

  test("remove-cgroup kills what is left, below too", async () => {
    using box = new Sandbox();
    const cgroup = `/sys/fs/cgroup/pids/gantry-native-${process.pid}-${program}`;
    mkdirSync(`${cgroup}/below`, { recursive: true });
    const left = Bun.spawn(["sleep", "60"]);
    writeFileSync(`${cgroup}/below/cgroup.procs`, String(left.pid));
    const plan = container(box, ["true"], { teardown: [{ do: "remove-cgroup", dir: cgroup }] });
    const { control } = await launch(plan, { program });
    await control.exited();
    expect(existsSync(cgroup)).toBe(false);
    await left.exited;
  });

  test("a client that breaks the protocol hears why and is closed; the others are not disturbed", async () => {
    using box = new Sandbox();
    const options = { socketPath: box.path("socket") };
    const { control } = await launch(container(box, ["sleep", "60"]), { program, options });
    await control.started();
    const breaches: [Uint8Array, string][] = [
      [stdin("x"), "HELLO was expected"],
      [Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 0), "malformed frame"],
      [Uint8Array.of(21, 0, 0, 0, 255, 255, 255, 255), "malformed frame"],
      [Buffer.concat([helloFrame(undefined, true), stdin("x")]), "stdin on a connection without stdin"],
      [Buffer.concat([helloFrame(all, true), encodeFrame(99)]), "unknown frame"],
      [Buffer.concat([helloFrame(all, true), helloFrame(all, true)]), "second HELLO"],
      [Buffer.concat([helloFrame(all, true), encodeFrame(19, new Uint8Array(60_000))]), "frame is too long"],
    ];
    for (const [bytes, words] of breaches) {
      const client = new Talk(await Channel.connect(options.socketPath));
      await client.channel.write(bytes).catch(() => {});
      await client.closed();
      expect(client.frames.flatMap((frame) => (frame.type === "error" ? [frame.message] : []))).toEqual([
        words,
      ]);
    }
    // More clients than there are places: some are turned away (their connect may fail by then), the first ones stay.
    const connects = Array.from({ length: 80 }, () =>
      Channel.connect(options.socketPath).catch(() => undefined),
    );
    const many = await Promise.all(connects);
    expect(many.filter((channel) => channel !== undefined).length).toBeGreaterThanOrEqual(60);
    for (const channel of many) channel?.close();
    await control.channel.write(signalFrame(9));
    await control.exited();
  });
});

const zeroDevice: ContainerStep = {
  do: "make-node",
  inside: "/dev/zero",
  mode: 0o20666,
  major: 1,
  minor: 5,
  uid: 0,
  gid: 0,
};

test("a client that takes nothing is dropped, so that the container does not hang", async () => {
  using box = new Sandbox();
  const plan = container(box, ["sh", "-c", "head -c 3000000 /dev/zero; echo end >&2"], {
    late: [zeroDevice],
  });
  // The sanitizer build drops after 1.5 s.
  const { control, attached } = await launch(plan, { program: "asan", attach: [all] });
  attached[0]?.hold();
  expect((await control.exited()).exitCode).toBe(0);
  attached[0]?.channel.close();
});

test("idle monitors are small", async () => {
  using box = new Sandbox();
  const controls: Talk[] = [];
  // The program's pages are shared: one monitor alone would carry all of them.
  for (let i = 0; i < 4; i++) {
    const options = {
      socketPath: box.path(`socket${i}`),
      log: { path: box.path(`log${i}`), maxBytes: 1 << 20, maxFiles: 2 },
    };
    controls.push((await launch(container(box, ["sleep", "60"]), { options })).control);
  }
  const monitors = await Promise.all(controls.map(async (control) => (await control.started()).monitorPid));
  const sizes = monitors.map((pid) =>
    Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]),
  );
  console.log(`monitors: ${sizes.join(", ")} kB PSS, ${readdirSync(`/proc/${monitors[0]}/fd`).length} fds`);
  expect(Math.max(...sizes)).toBeLessThan(300);
  for (const control of controls) {
    await control.channel.write(signalFrame(9));
    await control.exited();
  }
});

test("start to exit of true is quick", async () => {
  using box = new Sandbox();
  const times: number[] = [];
  for (let i = 0; i < 30; i++) {
    const begin = performance.now();
    const { control } = await launch(container(box, ["true"]));
    await control.exited();
    times.push(performance.now() - begin);
  }
  times.sort((a, b) => a - b);
  console.log(`spawn to EXITED: best ${times[0]?.toFixed(2)} ms, median ${times[15]?.toFixed(2)} ms`);
  expect(times[0]).toBeLessThan(20);
});
