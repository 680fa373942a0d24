/** The log that gantry-init writes: records, rotation, a full disk. Needs root and busybox-static. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";

import { loadSys, mountFlags } from "../../src/kernel/index.ts";
import { encodeFrame, frameType, signalFrame } from "../../src/runtime/frames.ts";
import type { MonitorOptions } from "../../src/runtime/plan-step.ts";
import { all, container, launch, noSanitizerReports, Sandbox } from "./native-harness.ts";

const sys = loadSys();
/** umount2(2) */
const MNT_DETACH = 2;
const recordPattern = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) (.*)$/s;

interface LogRecord {
  readonly time: string;
  readonly stream: string;
  readonly tag: string;
  readonly text: string;
}

/** The records of a log file; every line must be one. */
function records(path: string): LogRecord[] {
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines.pop()).toBe("");
  return lines.map((line) => {
    const [, time = "", stream = "", tag = "", text = ""] = recordPattern.exec(line) ?? [];
    if (time === "") throw new Error(`not a record: ${JSON.stringify(line.slice(0, 120))}`);
    return { time, stream, tag, text };
  });
}

const brief = (path: string): string[] => records(path).map((r) => `${r.stream} ${r.tag} ${r.text}`);

function logged(box: Sandbox, maxBytes = 0, maxFiles = 1): MonitorOptions {
  return { socketPath: box.path("socket"), log: { path: box.path("log"), maxBytes, maxFiles } };
}

afterAll(noSanitizerReports);

describe.each(["plain", "asan"] as const)("log (%s)", (program) => {
  test("lines, empty lines, both streams, a last line without newline", async () => {
    using box = new Sandbox();
    const script =
      "echo one; echo; printf 'two\\nthr'; sleep 0.05; echo ee; sleep 0.05; echo oops >&2; printf 'no end'; printf bad >&2";
    const { control } = await launch(container(box, ["sh", "-c", script]), { program, options: logged(box) });
    await control.exited();
    const lines = brief(box.path("log"));
    expect(lines.filter((line) => line.startsWith("stdout"))).toEqual([
      "stdout F one",
      "stdout F ",
      "stdout F two",
      "stdout F three",
      "stdout P no end",
    ]);
    expect(lines.filter((line) => line.startsWith("stderr"))).toEqual(["stderr F oops", "stderr P bad"]);
    const times = records(box.path("log")).map((record) => record.time);
    expect(times.slice(0, 4)).toEqual(times.slice(0, 4).sort());
    expect(Math.abs(Date.parse(times[0] ?? "") - Date.now())).toBeLessThan(10_000);
  });

  test.each([16383, 16384, 16385, 32768, 40000])("a line of %d bytes is cut at 16 KiB", async (length) => {
    using box = new Sandbox();
    writeFileSync(box.path("root/work/line"), `${"y".repeat(length)}\nnext\n`);
    const { control } = await launch(container(box, ["cat", "/work/line"]), {
      program,
      options: logged(box),
    });
    await control.exited();
    const parts = records(box.path("log"));
    const line = parts.slice(0, -1);
    expect(line.map((part) => part.text).join("")).toBe("y".repeat(length));
    expect(line.map((part) => part.tag).join("")).toBe(`${"P".repeat(line.length - 1)}F`);
    expect(Math.max(...line.map((part) => part.text.length))).toBeLessThanOrEqual(16384);
    expect(parts.at(-1)).toMatchObject({ tag: "F", text: "next" });
  });

  test("many short lines arrive in order", async () => {
    using box = new Sandbox();
    const { control, attached } = await launch(container(box, ["seq", "200000"]), {
      program,
      options: logged(box),
      attach: [all],
    });
    await control.exited();
    await attached[0]?.exited();
    const wanted = Array.from({ length: 200_000 }, (_, i) => String(i + 1));
    expect(records(box.path("log")).map((record) => record.text)).toEqual(wanted);
    expect(attached[0]?.output(1)).toBe(`${wanted.join("\n")}\n`);
  });

  test("rotation: sizes and number of files are bounded, nothing between is lost", async () => {
    using box = new Sandbox();
    const { control } = await launch(container(box, ["seq", "10000"]), {
      program,
      options: logged(box, 100_000, 3),
    });
    await control.exited();
    const files = ["log.2", "log.1", "log"].map((name) => box.path(name));
    expect(existsSync(box.path("log.3"))).toBe(false);
    for (const file of files) expect(statSync(file).size).toBeLessThanOrEqual(100_000);
    const numbers = files.flatMap((file) => records(file).map((record) => Number(record.text)));
    const first = numbers[0] ?? 0;
    expect(first).toBeGreaterThan(1);
    expect(numbers).toEqual(Array.from({ length: 10_000 - first + 1 }, (_, i) => first + i));
  });

  test("one file alone starts anew", async () => {
    using box = new Sandbox();
    const { control } = await launch(container(box, ["seq", "5000"]), {
      program,
      options: logged(box, 50_000, 1),
    });
    await control.exited();
    expect(existsSync(box.path("log.1"))).toBe(false);
    expect(statSync(box.path("log")).size).toBeLessThanOrEqual(50_000);
    expect(records(box.path("log")).at(-1)?.text).toBe("5000");
  });

  test("REOPEN-LOG goes on in a new file; a cut record of before is ended first", async () => {
    using box = new Sandbox();
    writeFileSync(box.path("log"), "2026-11-24T06:03:48.123456789Z stdout F cut");
    const options = { ...logged(box), stdin: { once: true } };
    const { control, attached } = await launch(container(box, ["cat"]), { program, options, attach: [all] });
    const say = (text: string): Promise<void> | undefined =>
      attached[0]?.channel.write(encodeFrame(frameType.stdin, new TextEncoder().encode(text)));
    await say("one\n");
    await attached[0]?.sees("one\n");
    renameSync(box.path("log"), box.path("moved"));
    await control.channel.write(encodeFrame(frameType.reopenLog));
    // Frames of one connection are in order: the answer says that the one before was done.
    await control.channel.write(signalFrame(0));
    await control.until(() => control.frames.find((frame) => frame.type === "signal-result"), "the answer");
    await say("two\n");
    await attached[0]?.sees("two\n");
    await control.channel.write(signalFrame(9));
    await control.exited();
    expect(brief(box.path("moved"))).toEqual(["stdout F cut", "stdout F one"]);
    expect(brief(box.path("log"))).toEqual(["stdout F two"]);
  });

  test("a full disk: the container goes on, lost lines are counted, later lines are whole", async () => {
    using box = new Sandbox();
    mkdirSync(box.path("small"));
    sys.mount("tmpfs", box.path("small"), "tmpfs", Number(mountFlags.MS_NOSUID), "size=64k");
    try {
      const log = { path: box.path("small/log"), maxBytes: 0, maxFiles: 1 };
      const options = { socketPath: box.path("socket"), log, stdin: { once: true } };
      writeFileSync(box.path("small/ballast"), "b".repeat(4096));
      const script = "seq 3000; echo full >&2; read line; echo late; echo end >&2";
      const { control, attached } = await launch(container(box, ["sh", "-c", script]), {
        program,
        options,
        attach: [all],
      });
      await attached[0]?.sees("full");
      writeFileSync(box.path("small/ballast"), "");
      await attached[0]?.channel.write(encodeFrame(frameType.stdin, new TextEncoder().encode("go\n")));
      const { lostLogLines, exitCode } = await control.exited();
      expect(exitCode).toBe(0);
      const lines = readFileSync(log.path, "utf8").trimEnd().split("\n");
      const whole = lines.filter((line) => recordPattern.test(line)).map((line) => line.split(" ").at(-1));
      // The record at the edge was cut; everything else is in the file or counted.
      const cut = lines.some((line) => !recordPattern.test(line)) ? 1 : 0;
      expect(whole).toContain("late");
      expect(lostLogLines).toBeGreaterThan(1000);
      const kept = new Set(whole.filter((text) => /^\d+$/.test(text ?? "")));
      // A number cut short still looks like a record: it is the one that may be counted twice.
      expect(Math.abs(kept.size + cut + lostLogLines - 3001)).toBeLessThanOrEqual(2);
    } finally {
      sys.umount(box.path("small"), MNT_DETACH);
    }
  });

  test("an unwritable log refuses the start", async () => {
    using box = new Sandbox();
    const options = { ...logged(box), log: { path: box.path("no/such/log"), maxBytes: 0, maxFiles: 1 } };
    const { control } = await launch(container(box, ["true"]), { program, options });
    expect(await control.failed()).toMatchObject({
      index: 0xffffffff,
      errno: 2,
      context: `open log ${options.log.path}`,
    });
  });
});
