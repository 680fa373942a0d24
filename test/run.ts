/**
 * Runs the suites one after the other and ends in the line `N passed, N failed`. Every file of the system suites has a
 * process of its own, so that a crash of one is one failure; the machine is compared before and after.
 */
import { Glob } from "bun";
import { difference, machineState } from "./lib/leftovers.ts";

interface Count {
  readonly passed: number;
  readonly failed: number;
  /** What tells of the failures: one text for each. */
  readonly told?: readonly string[];
}

const root = new URL("..", import.meta.url).pathname;
const bun = `${root}scripts/bun`;

/** A system test file that takes longer than this has hung. */
const fileDeadlineMs = 8 * 60_000;

/** So many lines before a test's `(fail)` are told again at the end. */
const toldLines = 30;

async function run(
  command: readonly string[],
  timeoutMs: number,
): Promise<{ readonly code: number; readonly output: string }> {
  const child = Bun.spawn([...command], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    env: { ...process.env, GANTRY_BIN: `${root}dist/gantry` },
  });
  const pass = async (stream: ReadableStream<Uint8Array>, to: NodeJS.WriteStream): Promise<string> => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const piece of stream) {
      to.write(piece);
      text += decoder.decode(piece, { stream: true });
    }
    return text;
  };
  const texts = await Promise.all([pass(child.stdout, process.stdout), pass(child.stderr, process.stderr)]);
  return { code: await child.exited, output: texts.join("\n") };
}

/** What `bun test` counted; a run that ended without its summary, or badly without a failed test, is one failure. */
function countOf(result: { readonly code: number; readonly output: string }): Count {
  const number = (word: string): number =>
    Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(result.output)?.[1] ?? 0);
  const passed = number("pass");
  const failed = number("fail");
  const told = failuresIn(result.output);
  if (result.code === 0 || failed > 0) return { passed, failed, told };
  return { passed, failed: 1, told: [...told, `ended with ${result.code}:\n${lastLines(result.output)}`] };
}

/** Each failed test with the lines before it: a record that keeps only a run's end still tells what failed, and why. */
function failuresIn(output: string): string[] {
  const lines = output.split("\n");
  return lines.flatMap((line, index) => {
    if (!line.startsWith("(fail) ")) return [];
    const before = lines.slice(Math.max(0, index - toldLines), index);
    // The summary tells the name once more.
    if (lines.indexOf(line) !== index) return [];
    const previous = before.findLastIndex((other) => /^\((pass|fail|skip)\) /.test(other));
    return [[...before.slice(previous + 1), line].join("\n")];
  });
}

function lastLines(output: string): string {
  return output.trimEnd().split("\n").slice(-toldLines).join("\n");
}

async function heading(text: string, work: () => Promise<Count>): Promise<Count> {
  process.stdout.write(`\n== ${text}\n`);
  const started = performance.now();
  const count = await work();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`== ${text}: ${count.passed} passed, ${count.failed} failed (${seconds} s)\n`);
  return { ...count, told: count.told?.map((failure) => `== ${text}\n${failure}`) ?? [] };
}

async function systemFiles(): Promise<string[]> {
  const files = await Array.fromAsync(new Glob("test/**/*.test.ts").scan({ cwd: root }));
  return files.sort();
}

async function main(which: string): Promise<number> {
  const counts: Count[] = [];
  if (which === "all") {
    counts.push(
      await heading("static checks", async () => {
        const { code, output } = await run(["scripts/check"], fileDeadlineMs);
        return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1, told: [lastLines(output)] };
      }),
      await heading("unit tests", async () => countOf(await run([bun, "test", "src"], fileDeadlineMs))),
    );
  }
  if (process.getuid?.() !== 0) {
    process.stderr.write("the system tests need root: run them with sudo\n");
    counts.push({ passed: 0, failed: 1, told: ["the system tests need root"] });
  } else {
    const before = machineState();
    for (const file of await systemFiles()) {
      counts.push(
        await heading(file, async () =>
          countOf(await run([bun, "test", "--timeout", "60000", `./${file}`], fileDeadlineMs)),
        ),
      );
    }
    counts.push(
      await heading("nothing is left behind", async () => {
        const left = await difference(before);
        for (const line of left) process.stdout.write(`left behind: ${line}\n`);
        return left.length === 0
          ? { passed: 1, failed: 0 }
          : { passed: 0, failed: 1, told: [left.join("\n")] };
      }),
    );
  }
  const passed = counts.reduce((sum, count) => sum + count.passed, 0);
  const failed = counts.reduce((sum, count) => sum + count.failed, 0);
  for (const failure of counts.flatMap((count) => count.told ?? []))
    process.stdout.write(`\nfailed: ${failure}\n`);
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

process.exitCode = await main(process.argv[2] ?? "all");
