/** Whole processes, timed from outside. */
import { type Summary, summarize } from "./statistics.ts";

export interface Command {
  readonly name: string;
  readonly words: readonly string[];
  /** The exit code that means success. */
  readonly exitCode?: number;
}

/** Runs to the end; milliseconds. @throws {Error} with the program's words when it failed */
export function timeOnce(command: Command): number {
  const started = performance.now();
  const done = Bun.spawnSync([...command.words], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const took = performance.now() - started;
  if (done.exitCode !== (command.exitCode ?? 0)) {
    throw new Error(
      `${command.name} failed (${done.exitCode ?? done.signalCode}): ${done.stderr.toString().slice(0, 500)}`,
    );
  }
  return took;
}

export interface Spent {
  /** Milliseconds. */
  readonly wall: number;
  /** User and system time of the command and of what it waited for. */
  readonly cpu: number;
}

/** As timeOnce, with CPU time. */
export function spentBy(words: readonly string[]): Spent {
  const started = performance.now();
  const done = Bun.spawnSync([...words], { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  const wall = performance.now() - started;
  if (done.exitCode !== 0) throw new Error(`${words.join(" ")} failed (${done.exitCode ?? done.signalCode})`);
  return { wall, cpu: Number(done.resourceUsage.cpuTime.total) / 1000 };
}

/** A B C A B C …: what slows the machine for a while slows all of them. */
export function interleave(commands: readonly Command[], rounds: number): Map<string, Summary> {
  const times = new Map<string, number[]>(commands.map((command) => [command.name, []]));
  for (const command of commands) timeOnce(command);
  for (let round = 0; round < rounds; round++) {
    for (const command of commands) times.get(command.name)?.push(timeOnce(command));
  }
  return new Map([...times].map(([name, values]) => [name, summarize(values)]));
}

/** Runs a command for its output. @throws {Error} when it failed */
export function output(...words: readonly string[]): string {
  const done = Bun.spawnSync([...words], { stdin: "ignore" });
  if (done.exitCode !== 0)
    throw new Error(`${words.join(" ")} failed: ${done.stderr.toString().slice(0, 500)}`);
  return done.stdout.toString().trim();
}
