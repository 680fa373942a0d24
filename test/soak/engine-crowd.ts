/**
 * `make soak`: 5,000 containers of one engine at once. Says how fast they start, what `ps`, `events` and `stats --no-stream` take
 * among them, what the engine weighs, and how soon all are stopped. Words: `--total N`. Fails when a promise of the README is missed.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { TestEngine } from "../lib/engine.ts";
import { difference, machineState } from "../lib/leftovers.ts";

const { values } = parseArgs({ options: { total: { type: "string", default: "5000" } } });
const total = Number(values.total);
const atOnce = 8;
/** A Linux bridge takes 1,023 cables. */
const perNetwork = 1000;
const limits = { answerMs: 1000, engineMb: 250, stopSeconds: 60 } as const;

const missed: string[] = [];

function check(what: string, figure: number, unit: string, limit: number): void {
  const holds = figure <= limit;
  console.log(
    `${what}: ${figure.toFixed(unit === "ms" ? 0 : 1)} ${unit} (at most ${limit})${holds ? "" : ", MISSED"}`,
  );
  if (!holds) missed.push(what);
}

const seconds = (since: number): number => (performance.now() - since) / 1000;

function rssMb(pid: number): number {
  return Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

async function each(count: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function crowd(engine: TestEngine): Promise<void> {
  const call = async (method: string, path: string, json?: object): Promise<unknown> => {
    const answer = await fetch(`http://engine${path}`, {
      method,
      unix: engine.socket,
      headers: { "Content-Type": "application/json" },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? undefined : await answer.json();
  };
  engine.ok("image", "bootstrap", "-q", "busybox");
  const networks = Math.ceil(total / perNetwork);
  for (let number = 0; number < networks; number++)
    engine.ok("network", "create", "--subnet", `10.77.${number * 8}.0/21`, `crowd-${number}`);
  const begun = new Date().toISOString();
  let from = performance.now();
  await each(total, async (number) => {
    const name = `crowd-${number}`;
    const { Id } = (await call("POST", `/containers/create?name=${name}`, {
      Image: "busybox",
      Cmd: ["sleep", "1000000"],
      StopSignal: "SIGKILL",
      HostConfig: { NetworkMode: `crowd-${Math.floor(number / perNetwork)}` },
    })) as { Id: string };
    await call("POST", `/containers/${Id}/start`);
  });
  console.log(`${total} created and started: ${(total / seconds(from)).toFixed(0)} per s`);
  ask(engine, begun);
  check("engine's memory", rssMb(engine.pid), "MB", limits.engineMb);
  from = performance.now();
  const stopped = engine.run(["stop", ...names()], { timeoutMs: 600_000 });
  if (stopped.code !== 0) throw new Error(`stop: ${stopped.err.slice(0, 500)}`);
  check("all stopped", seconds(from), "s", limits.stopSeconds);
  const running = engine.ok("ps", "-q");
  if (running !== "") throw new Error(`still running: ${running.split("\n").length}`);
  check("engine's memory after all have ended", rssMb(engine.pid), "MB", limits.engineMb);
}

const names = (): string[] => Array.from({ length: total }, (_, number) => `crowd-${number}`);

/** Each question twice; the second counts: what a user sees who works with such an engine. */
function ask(engine: TestEngine, begun: string): void {
  const questions = {
    ps: ["ps", "-q"],
    "stats --no-stream": ["stats", "--no-stream", "--format", "{{.ID}}"],
    // The newest thousand, whatever the store keeps.
    events: ["events", "--since", begun, "--until", new Date().toISOString(), "--format", "{{.ID}}"],
  };
  for (const [name, words] of Object.entries(questions)) {
    engine.run(words);
    const from = performance.now();
    const { code, out, err } = engine.run(words);
    const took = performance.now() - from;
    if (code !== 0) throw new Error(`${name}: ${err}`);
    const lines = out.trim().split("\n").length;
    if (lines < total) throw new Error(`${name}: ${lines} lines for ${total} containers`);
    check(`${name} (${lines} lines)`, took, "ms", limits.answerMs);
  }
}

const before = machineState();
const engine = new TestEngine("crowd");
await engine.start();
try {
  await crowd(engine);
} finally {
  await engine.uninstall();
}
const left = await difference(before, 30_000);
if (left.length > 0) missed.push(`left behind: ${left.slice(0, 5).join("; ")}`);
console.log(missed.length === 0 ? "all hold" : `missed: ${missed.join(", ")}`);
process.exitCode = missed.length === 0 ? 0 : 1;
