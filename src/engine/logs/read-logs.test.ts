import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogQuery } from "./cri-line.ts";
import { readLogs } from "./read-logs.ts";

let dir = "";
let path = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gantry-logs-"));
  path = join(dir, "container.log");
});
afterEach(() => rmSync(dir, { recursive: true }));

const all: LogQuery = {
  stdout: true,
  stderr: true,
  timestamps: false,
  sinceNs: 0n,
  untilNs: 0n,
  tail: "all",
};
const line = (text: string, second = 1, stream = "stdout", tag = "F"): string =>
  `2026-11-24T06:00:${String(second).padStart(2, "0")}.000000000Z ${stream} ${tag} ${text}\n`;

async function read(query: Partial<LogQuery>, until?: Promise<unknown>): Promise<string> {
  let text = "";
  const request = { path, query: { ...all, ...query }, framed: false, signal: new AbortController().signal };
  for await (const chunk of readLogs(until === undefined ? request : { ...request, until }))
    text += Buffer.from(chunk).toString();
  return text;
}

describe("readLogs", () => {
  test("reads through rotated files in order", async () => {
    writeFileSync(`${path}.2`, line("a"));
    writeFileSync(`${path}.1`, line("b"));
    writeFileSync(path, line("c"));
    expect(await read({})).toBe("a\nb\nc\n");
  });

  test.each([
    { tail: 0, want: "" },
    { tail: 1, want: "d\n" },
    { tail: 2, want: "c\nd\n" },
    { tail: 3, want: "b\nc\nd\n" },
    { tail: 4, want: "a\nb\nc\nd\n" },
    { tail: 9, want: "a\nb\nc\nd\n" },
  ])("tail $tail over two files", async ({ tail, want }) => {
    writeFileSync(`${path}.1`, line("a") + line("b"));
    writeFileSync(path, line("c") + line("d"));
    expect(await read({ tail })).toBe(want);
  });

  test("tail of a log of many blocks", async () => {
    writeFileSync(path, Array.from({ length: 5000 }, (_, i) => line(`row ${i} ${"x".repeat(60)}`)).join(""));
    expect((await read({ tail: 1234 })).split("\n")).toHaveLength(1235);
    expect((await read({ tail: 1234 })).startsWith("row 3766 ")).toBe(true);
  });

  test("partial records make one line, a last one gets no newline", async () => {
    writeFileSync(path, line("ab", 1, "stdout", "P") + line("cd") + line("end", 2, "stdout", "P"));
    expect(await read({})).toBe("abcd\nend");
    expect(await read({ timestamps: true })).toBe(
      "2026-11-24T06:00:01.000000000Z abcd\n2026-11-24T06:00:02.000000000Z end",
    );
  });

  test("since and until are inclusive; streams are selected; broken records are skipped", async () => {
    writeFileSync(path, `${line("a", 1)}${line("b", 2, "stderr")}garbage\n${line("c", 3)}`);
    const at = (second: number): bigint => BigInt(Date.parse(`2026-11-24T06:00:0${second}Z`)) * 1_000_000n;
    expect(await read({ sinceNs: at(2) })).toBe("b\nc\n");
    expect(await read({ untilNs: at(2) })).toBe("a\nb\n");
    expect(await read({ stderr: false })).toBe("a\nc\n");
  });

  test("following sees later lines and rotation, once each, and ends with the container", async () => {
    writeFileSync(path, line("a"));
    let end = (): void => undefined;
    const until = new Promise<void>((resolve) => (end = resolve));
    const text = read({}, until);
    await Bun.sleep(10);
    appendFileSync(path, line("b"));
    await Bun.sleep(10);
    renameSync(path, `${path}.1`);
    writeFileSync(path, line("c"));
    appendFileSync(path, line("d"));
    end();
    expect(await text).toBe("a\nb\nc\nd\n");
  });

  test("a log that is rotated all the time is read in order, no line twice, and a tail has its length", async () => {
    writeFileSync(path, line("0"));
    const script = `i=1; while [ $i -lt 3000 ]; do
      mv ${path}.1 ${path}.2 2>/dev/null; mv ${path} ${path}.1
      for _ in 1 2 3 4 5 6 7 8; do printf '2026-11-24T06:00:01.000000000Z stdout F %d\\n' $i; i=$((i+1)); done >${path} || exit 1
    done`;
    const writer = Bun.spawn(["sh", "-c", script]);
    const isRun = (text: string): boolean => {
      const numbers = text.split("\n").filter(Boolean).map(Number);
      return numbers.every((number, at) => at === 0 || number === (numbers[at - 1] ?? 0) + 1);
    };
    while (writer.exitCode === null) {
      expect(await read({})).toSatisfy(isRun);
      const tail = await read({ tail: 3 });
      expect(tail.split("\n").length).toBeLessThanOrEqual(4);
      expect(tail).toSatisfy(isRun);
      await Bun.sleep(0);
    }
  });

  test("no log yet is an empty log", async () => {
    expect(await read({})).toBe("");
  });
});
